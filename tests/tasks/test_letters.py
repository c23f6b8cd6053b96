"""Our letter-format tasks: the options stand in the prompt, letters are what is scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from release import OLD

from lm_eval_calibration.yamls import task_yamls


def document(labels: str, key: str, **question: str) -> dict[str, Any]:
    texts = [f"option {label}" for label in labels]
    return {**question, "choices": {"text": texts, "label": list(labels)}, "answerKey": key}


CASES = [
    ("arc_easy", document("ABCD", "C", question="Why? "), "Why?", 2),
    ("arc_challenge", document("12345", "5", question="Why?"), "Why?", 4),
    ("openbookqa", document("ABC", "A ", question_stem="A frog is"), "A frog is", 0),
]


@pytest.mark.parametrize(("name", "doc", "question", "gold"), CASES)
def test_prompt_letters_and_answer(
    name: str, doc: dict[str, Any], question: str, gold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks._yaml_loader import load_yaml

    data = datasets.DatasetDict(
        {s: datasets.Dataset.from_list([doc]) for s in ("train", "validation", "test")}
    )
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *_, split=None, **__: data if split is None else list(data.values()),
    )
    config = load_yaml(task_yamls() / "letters" / f"{name}.yaml")
    task = ConfigurableTask(config=config) if OLD else ConfigurableTask.from_config(config)
    count = len(doc["choices"]["text"])
    lines = [f"{'ABCDE'[i]}. {text}" for i, text in enumerate(doc["choices"]["text"])]
    assert task.doc_to_text(doc) == "\n".join([question, *lines, "Answer:"])
    assert task.doc_to_choice(doc) == list("ABCDE"[:count])
    assert task.doc_to_target(doc) == gold
    task.build_all_requests(limit=1)
    assert [r.args[1] for r in task.instances] == [f" {letter}" for letter in "ABCDE"[:count]]


@pytest.mark.exhaustive
def test_on_real_documents(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every answer key of ARC points into its options, also where labels are numbers."""
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401

    monkeypatch.chdir(data_folder)
    manager = TaskManager()
    for name in ("calib_arc_easy_letters", "calib_arc_challenge_letters"):
        task = manager.load([name])["tasks"][name]
        for doc in task.test_docs():
            assert 0 <= task.doc_to_target(doc) < len(task.doc_to_choice(doc))
