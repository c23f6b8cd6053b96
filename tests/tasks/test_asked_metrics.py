"""Which metrics somebody asked for, and what a twin computes and shows."""

from __future__ import annotations

from typing import Any

import pytest
from lm_eval import simple_evaluate

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.tasks.asked_metrics import KEY, READ, VARIABLE, asked, computed, shown

PLAIN = ("",)
BOTH = ("", "_norm")


def test_nobody_asked() -> None:
    assert asked(None) == asked({}) == ()
    assert computed((), ["nll"], BOTH) == []
    assert shown((), (), PLAIN) == list(READ)
    assert shown((), (), BOTH) == [*READ, *(f"{name}_norm" for name in READ)]
    assert shown((), ["smece"], BOTH) == ["smece"]  # what a YAML names is what it wants


@pytest.mark.parametrize("given", ["nll, ece", ["nll", "ece"], "nll,ece,nll"])
def test_by_metadata_and_by_the_variable(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked({KEY: given}) == ("nll", "ece")
    if isinstance(given, str):
        monkeypatch.setenv(VARIABLE, given)
        assert asked(None) == ("nll", "ece")
    monkeypatch.setenv(VARIABLE, "brier")
    assert asked({KEY: given}) == ("nll", "ece")
    assert asked({}) == ("brier",)


def test_everything_and_a_little_more() -> None:
    every = computed(["all"], ["nll"], BOTH)
    assert "nll" not in every and {"smece", "smece_norm", "coverage_at_acc_0.9"} <= set(every)
    assert shown(["all"], ["nll"], BOTH) == ["all"]
    assert shown(["default", "smece"], (), PLAIN) == [*READ, "smece"]
    assert computed(["ece_macro", "acc_at_coverage_0.5"], ["ece"], PLAIN) == ["acc_at_coverage_0.5"]


def test_what_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UnknownNameError, match=r"`metadata: calibration_metrics`: `briar`\. Did you mean `brier`"
    ):
        asked({KEY: "briar_norm"})
    with pytest.raises(InvalidInputError, match=r"`all`, `default` or names of metrics, .* got 7"):
        asked({KEY: 7})
    monkeypatch.setenv(VARIABLE, "ece,nlll")
    with pytest.raises(UnknownNameError, match=rf"{VARIABLE}`: `nlll`\. Did you mean `nll`"):
        asked({})
    assert asked({KEY: "dg_diff"}, ["dg_diff"]) == ("dg_diff",)


def test_results_keep_everything(
    tasks: Any, scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = "calib_toy_norm"
    asked_for = {"tasks": [twin], "task_manager": tasks, "limit": 12, "bootstrap_iters": 10}
    usual = simple_evaluate(model=scripted(), **asked_for)["results"][twin]
    monkeypatch.setenv(VARIABLE, "smece")
    more = simple_evaluate(model=scripted(), **asked_for)
    assert more["results"][twin].keys() - usual.keys() == {"smece,none", "smece_stderr,none"}
    assert all(more["results"][twin][key] == value for key, value in usual.items())
    assert more["configs"][twin]["metadata"][KEY] == ["smece"]


@pytest.mark.parametrize("key", ["splitt", "calibration_metric", "clusters"])
def test_a_misspelt_key_of_the_metadata_is_told(key: str, task_folder: Any) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(task_folder), metadata={key: "train"})
    with pytest.raises(InvalidInputError, match=f"got `{key}`. Did you mean `"):
        manager.load(["calib_toy_norm"])


def test_another_split(task_folder: Any) -> None:
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(task_folder), metadata={"split": "train"})
    (task,) = manager.load(["calib_toy_norm"])["tasks"].values()
    assert [doc["question"] for doc in task.eval_docs][:2] == [
        "What is item 0 of train?",
        "What is item 1 of train?",
    ]
    with pytest.raises(
        InvalidInputError, match=r"`metadata: split` must be a split .*`test`, `train`.* got `dev`"
    ):
        TaskManager(include_path=str(task_folder), metadata={"split": "dev"}).load(
            ["calib_toy_norm"]
        )


def test_options_that_yaml_reads_as_truth_values(task_folder: Any, tmp_path: Any) -> None:
    from lm_eval.tasks import TaskManager

    text = (task_folder / "toy_plain.yaml").read_text().replace("tag: toy_tag\n", "")
    text = text.replace("toy_plain", "toy_no").replace(
        "doc_to_choice: options", "doc_to_choice: [No, Yes]"
    )
    (tmp_path / "toy_no.yaml").write_text(text)
    manager = TaskManager(include_path=str(tmp_path))
    with pytest.raises(
        InvalidInputError, match="YAML reads No and Yes as false and true: quote them"
    ):
        manager.load(["calib_toy_no"])
