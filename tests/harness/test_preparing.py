"""Tasks are read before the model, and come out as if they had been read after it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from release import OLD

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness import preparing

SHUFFLING = """\
import random

import datasets


def shuffled(docs):
    def change(doc):
        order = random.sample(range(len(doc["options"])), len(doc["options"]))
        doc["answer"] = order.index(doc["answer"])
        doc["options"] = [doc["options"][i] for i in order]
        return doc

    return datasets.Dataset.from_list([change(dict(doc)) for doc in docs])
"""


@pytest.fixture
def shuffling(task_folder: Path, tmp_path: Path) -> Path:
    """A task whose options stand in a random order, anew whenever its documents are read."""
    (tmp_path / "shuffling.py").write_text(SHUFFLING)
    base = (task_folder / "toy_plain.yaml").read_text().replace("toy_plain", "toy_shuffled")
    base = "\n".join(text for text in base.splitlines() if not text.startswith("tag:"))
    (tmp_path / "toy_shuffled.yaml").write_text(
        f"{base}\nprocess_docs: !function shuffling.shuffled\n"
    )
    return tmp_path


def options_asked(lm: Any) -> list[Any]:
    return [request.args for request in lm.seen]


def test_random_options_stand_as_upstream_has_them(
    shuffling: Path, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model by its name, so that it is loaded between: with and without us, and for the twin."""
    from lm_eval.api.registry import model_registry

    kept: list[Any] = []

    class Loaded(scripted):  # type: ignore[misc, valid-type]
        @classmethod
        def create_from_arg_string(cls, *arguments: Any) -> Any:
            return cls()

        create_from_arg_obj = create_from_arg_string

        def loglikelihood(self, requests: Any, **options: Any) -> Any:
            kept.append([request.args for request in requests])
            return super().loglikelihood(requests, **options)

    if "shuffle-test" not in model_registry:
        model_registry.register("shuffle-test", target=Loaded)
    monkeypatch.setattr(model_registry, "get", lambda name, *_: Loaded)
    for task in ("toy_shuffled", "calib_toy_shuffled"):
        manager = TaskManager(include_path=str(shuffling))
        simple_evaluate(
            model="shuffle-test", model_args="a=1", tasks=[task], task_manager=manager, limit=6,
            bootstrap_iters=0,
        )  # fmt: skip
    upstream, twin = kept
    assert upstream == twin


def test_handed_over_once_and_only_for_the_same_state(tasks: Any) -> None:
    call = {
        "tasks": ["calib_toy_norm"],
        "task_manager": tasks,
        "random_seed": 3,
        "numpy_random_seed": 4,
    }
    before = random.getstate()
    found = preparing.prepare(call)
    assert random.getstate() == before and next(iter(found)).endswith("calib_toy_norm")
    other = tasks.load(["calib_toy_norm"])["tasks"]  # (another state: read anew)
    assert next(iter(other.values())) is not next(iter(found.values()))
    preparing.prepare(call)
    random.seed(3)
    np.random.seed(4)
    ready = tasks.load(["calib_toy_norm"])["tasks"]
    again = tasks.load(["calib_toy_norm"])["tasks"]
    assert next(iter(ready.values())) is not next(iter(again.values()))


@pytest.mark.parametrize(
    ("limit", "numbers", "count"),
    [(None, None, 40), (7, None, 7), (0.1, None, 4), (None, [3, 5], 2)],
)
def test_documents_that_will_be_asked_about(
    tasks: Any, limit: Any, numbers: Any, count: int
) -> None:
    (task,) = tasks.load(["calib_toy_norm"])["tasks"].values()
    found = preparing.documents_of(task, limit, numbers)
    assert len(found) == count
    if numbers:
        assert [doc["question"] for doc in found] == [f"What is item {n} of test?" for n in numbers]


@pytest.mark.skipif(not OLD, reason="0.5 reads a task's data when it asks about it")
def test_a_task_that_cannot_be_read_is_named(task_folder: Path, tmp_path: Path) -> None:
    text = (task_folder / "toy_plain.yaml").read_text().replace("tag: toy_tag\n", "")
    for name, old, new in (
        ("toy_lost", "/test.json", "/nowhere.json"),
        ("toy_column", "doc_to_target: answer", 'doc_to_target: "{{anwser}}"'),
    ):
        changed = text.replace("toy_plain", name).replace(old, new)
        (tmp_path / f"{name}.yaml").write_text(changed)
    manager = TaskManager(include_path=str(tmp_path))
    told = {"toy_lost": "nowhere.json", "toy_column": "'anwser' is undefined"}
    for name, said in told.items():
        call = {"tasks": [f"calib_{name}"], "task_manager": manager}
        with pytest.raises(InvalidInputError, match=f"Task `calib_{name}` cannot be read .*{said}"):
            preparing.prepare(call)
