"""Which twins exist, what they are made of, and what is said where there is none."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from lm_eval.tasks._index import Kind
from release import only_0_4

from lm_eval_calibration import CalibrationTask
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.index import TwinIndex
from lm_eval_calibration.plugin import OURS


def test_plain_names_match(tasks: Any) -> None:
    asked = ["calib_toy_norm", "calib_toy_group", "calib_toy_tag", "toy_own", "toy_norm"]
    assert tasks.match_tasks(asked) == sorted(asked)


def test_globs_match_what_has_a_twin(tasks: Any) -> None:
    found = tasks.match_tasks(["calib_toy_*"])
    assert "calib_toy_norm" in found
    assert "calib_toy_group" in found
    assert not {"calib_toy_generate", "calib_toy_own"} & set(found)
    assert tasks.match_tasks(["calib_toy_gen*"]) == ["calib_toy_generate"]


@only_0_4("0.5 gives a pattern that matches nothing as it is")
def test_a_glob_over_everything_is_no_calibration_run(tasks: Any) -> None:
    assert tasks.match_tasks(["calib_*"]) == []


@only_0_4("0.5 gives a name that it does not know as it is")
def test_names_without_a_twin_say_why(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert tasks.match_tasks(["calib_toy_own", "calib_nothing"]) == []
    assert "`toy_own` has calibration metrics itself" in caplog.text
    with pytest.raises(InvalidInputError, match="Run `toy_own` instead"):
        tasks.load(["calib_toy_own"])
    with pytest.raises(KeyError):
        tasks.load(["calib_nothing"])


@only_0_4("`task_index` is 0.4's")
def test_listing_shows_no_twins(task_folder: Any) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(task_folder), include_defaults=False)
    assert not [name for name in manager.all_tasks if name.startswith("calib_")]
    assert "calib_toy_norm" in manager.task_index
    assert "calib_calib_toy_norm" not in manager.task_index


def test_twin_of_a_task(tasks: Any) -> None:
    (task,) = tasks.load(["calib_toy_norm"])["tasks"].values()
    (upstream,) = tasks.load(["toy_norm"])["tasks"].values()
    assert isinstance(task, CalibrationTask)
    assert task.task_name == "calib_toy_norm"
    assert task.doc_to_text(task.eval_docs[0]) == upstream.doc_to_text(upstream.eval_docs[0])


def test_twin_of_a_tag(tasks: Any) -> None:
    assert sorted(tasks.load(["calib_toy_tag"])["tasks"]) == ["calib_toy_norm", "calib_toy_plain"]


@only_0_4("`task_index` is 0.4's")
def test_mixed_group_runs_whole_and_says_so_once(
    tasks: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from lm_eval import simple_evaluate

    tasks.task_index.pop("calib_toy_mixed", None)
    with caplog.at_level(logging.WARNING):
        results = simple_evaluate(
            model=scripted(),
            tasks=["calib_toy_mixed", "toy_mixed"],
            task_manager=tasks,
            bootstrap_iters=0,
            limit=4,
        )["results"]
    assert "exact_match,none" in results["calib_toy_generate"]
    assert "ece,none" in results["calib_toy_norm"]
    assert "ece,none" in results["calib_toy_mixed"]
    assert results["toy_generate"]["exact_match,none"] == 0.0
    said = [r.message for r in caplog.records if "states no confidence" in r.message]
    assert len(said) == 1
    assert said[0].startswith("Task `calib_toy_generate`: the model states no confidence in what")
    assert said[0].endswith("so there are the task's own metrics alone.")


def test_both_worlds_in_one_run(tasks: Any) -> None:
    loaded = tasks.load(["toy_group", "calib_toy_group"])["tasks"]
    assert len(loaded) == 6


def entry(**config: Any) -> Any:
    from lm_eval.tasks._index import Entry

    kind = Kind.PY_TASK if "class" in config else Kind.TASK
    return Entry(config["task"], kind, None, cfg=config)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"task": "t", "output_type": "loglikelihood_rolling"}, "which has no twin"),
        ({"task": "t", "repeats": 4}, "samples several answers to each question itself"),
        ({"task": "t", "class": "x"}, "a Python class"),
        (
            {"task": "t", "output_type": "multiple_choice", "process_results": "f"},
            "reports no `acc`",
        ),
    ],
)
def test_reasons(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        TwinIndex({"t": entry(**config)}, OURS.twin_class)["calib_t"]


def test_inline_tasks_and_registered_inner_groups() -> None:
    from lm_eval.tasks._index import Entry

    choice = {"output_type": "multiple_choice", "dataset_path": "x"}
    index = TwinIndex(
        {
            "g": Entry("g", Kind.GROUP, None, cfg={"group": "g", **choice, "task": [
                {"task": "new", "dataset_path": "y"},
                {"task": "t", "num_fewshot": 3, "task_alias": "tea"},
                {"group": "h", "num_fewshot": 1},
            ]}),
            "h": Entry("h", Kind.GROUP, None, cfg={"group": "h", "task": "t"}),
            "t": entry(task="t", **choice),
        },
        OURS.twin_class,
    )  # fmt: skip
    assert index["calib_g"].cfg == {
        "group": "calib_g",
        **choice,
        "task": [
            {"task": "calib_g::new", "dataset_path": "y"},
            {"task": "calib_t", "num_fewshot": 3, "task_alias": "calib_tea"},
            {"group": "calib_h", "num_fewshot": 1},
        ],
    }
    inline = index["calib_g::new"].cfg
    assert inline["twin_of"] == "g::new"
    assert inline["dataset_path"] == "y"
    assert inline["output_type"] == "multiple_choice"
    assert index["calib_h"].cfg["task"] == ["calib_t"]


def test_a_broken_upstream_group_fails_as_upstream_does() -> None:
    from lm_eval.tasks._index import Entry

    nameless = {"group": "g", "task": [{"dataset_path": "x"}]}
    index = TwinIndex({"g": Entry("g", Kind.GROUP, None, cfg=nameless)}, OURS.twin_class)
    assert index["calib_g"].cfg["task"] == nameless["task"]


@only_0_4("0.5 wants the data set of a task in a group by name")
def test_an_inline_task_runs_as_a_twin(task_folder: Any, scripted: Any, tmp_path: Any) -> None:
    """Defined inside a group, with the shared settings at the group's level: upstream's own way."""
    import yaml
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    plain = yaml.safe_load((task_folder / "toy_plain.yaml").read_text())
    inline = {"task": "inside", "doc_to_text": plain.pop("doc_to_text")}
    shared = {k: v for k, v in plain.items() if k not in ("task", "tag", "metadata")}
    group = {"group": "with_inline", **shared, "task": [inline]}
    (tmp_path / "group.yaml").write_text(yaml.safe_dump(group))
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    rows = {}
    for name in ("with_inline", "calib_with_inline"):
        rows |= simple_evaluate(
            model=scripted(), tasks=[name], task_manager=manager, bootstrap_iters=0
        )["results"]
    assert rows["calib_with_inline::inside"]["acc,none"] == rows["with_inline::inside"]["acc,none"]
    assert "ece,none" in rows["calib_with_inline::inside"]
    assert "ece,none" in rows["calib_with_inline"]


@pytest.mark.parametrize("asked", ["calib_toy_norm", "calib_toy_group", "calib_toy_tag"])
def test_a_chat_api_is_told_who_can(asked: str, tasks: Any) -> None:
    """Before anything is sent, for a task, a group and a tag (case B7)."""
    import lm_eval.models  # noqa: F401
    from lm_eval import simple_evaluate

    with pytest.raises(InvalidInputError, match=r"--model verbalized --model_args base=local-chat"):
        simple_evaluate(
            model="local-chat-completions", model_args="model=m,base_url=http://127.0.0.1:9",
            tasks=[asked], task_manager=tasks, limit=1, apply_chat_template=True,
        )  # fmt: skip
