"""Twins of the harness's real tasks on real data; skipped where the data is absent."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from kinds import kinds
from lm_eval import simple_evaluate
from logged_lines import save_run
from release import entries

from lm_eval_calibration import evaluate
from lm_eval_calibration.logs import read_samples

TASKS = [
    "arc_easy",
    "arc_challenge",
    "hellaswag",
    "mmlu_anatomy",
    "truthfulqa_mc1",
    "truthfulqa_mc2",
    "boolq",
    "sst2",
]


@pytest.fixture(scope="module")
def manager(data_folder: Path) -> Any:
    from lm_eval.tasks import TaskManager

    return TaskManager()


@pytest.fixture(autouse=True)
def beside_the_data(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` looks for a local folder of the data set's name first."""
    monkeypatch.chdir(data_folder)


@pytest.mark.parametrize("name", kinds(TASKS, ["arc_easy", "boolq"]))
def test_twin_is_upstream_and_more(manager: Any, scripted: Any, name: str, tmp_path: Path) -> None:
    runs = {
        task: simple_evaluate(
            model=scripted(), tasks=[task], task_manager=manager, bootstrap_iters=0, limit=200
        )
        for task in (name, f"calib_{name}")
    }
    upstream, twin = runs[name], runs[f"calib_{name}"]
    for key, value in upstream["results"][name].items():
        if key not in ("name", "alias"):
            assert twin["results"][f"calib_{name}"][key] == value, key
    samples = twin["samples"][f"calib_{name}"]
    assert [s["prompt_hash"] for s in samples] == [
        s["prompt_hash"] for s in upstream["samples"][name]
    ]
    if name != "truthfulqa_mc2":  # its acc is a probability mass
        assert [s["ece"][1] for s in samples] == [s["acc"] for s in samples]
    _logs_hold_the_figures(runs, name, twin["results"][f"calib_{name}"], tmp_path)


def _logs_hold_the_figures(
    runs: dict[str, Any], name: str, live: dict[str, Any], folder: Path
) -> None:
    """Both runs, logged and read back, give what the twin printed, to the last digit."""
    for task, results in runs.items():
        save_run(folder / task, results)
        (path,) = (folder / task).rglob(f"samples_{task}_2*.jsonl")
        samples = read_samples(path)
        own = [note for note in samples.notes if "the run printed acc" in note]
        assert len(own) == ("mc2" in name) and samples.notes == tuple(own), task
        assert ("_norm" in samples.normalised) == ("acc_norm,none" in live), task
        for suffix, predictions in {"": samples.predictions, **samples.normalised}.items():
            for metric, found in evaluate(predictions, replicates=0).items():
                assert found.value == live[f"{metric}{suffix},none"], (task, metric, suffix)


def test_several_gold_options_of_truthfulqa(manager: Any, scripted: Any) -> None:
    """Its `acc` is the mass on true answers; its twin's NLL must be minus the log of that mass."""
    import math

    samples = simple_evaluate(
        model=scripted(), tasks=["calib_truthfulqa_mc2"], task_manager=manager,
        bootstrap_iters=0, limit=50,
    )["samples"]["calib_truthfulqa_mc2"]  # fmt: skip
    for sample in samples:
        assert sample["nll"] == pytest.approx(-math.log(sample["acc"]), rel=1e-9)


def test_arc_group(manager: Any, scripted: Any) -> None:
    results = simple_evaluate(
        model=scripted(), tasks=["calib_arc"], task_manager=manager, bootstrap_iters=20, limit=30
    )
    row = results["groups"]["calib_arc"]
    assert {"acc,none", "acc_norm,none", "ece,none", "ece_macro,none", "nll_norm,none"} <= set(row)


@pytest.mark.exhaustive
def test_mmlu_has_its_four_subgroups(manager: Any) -> None:
    loaded = manager.load(["calib_mmlu"])
    assert loaded["group_map"]["calib_mmlu"] == [
        "calib_mmlu_stem",
        "calib_mmlu_other",
        "calib_mmlu_social_sciences",
        "calib_mmlu_humanities",
    ]
    assert len(loaded["tasks"]) == 57


def test_every_multiple_choice_task_has_a_twin_entry(
    manager: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """All 14,000 names: an entry, or a reason; and no group or tag that cannot be derived."""
    from lm_eval_calibration.harness.index import why_no_twin

    caplog.set_level(logging.ERROR, logger="lm_eval_calibration.harness.index")
    groups, known = 0, entries(manager)
    for name in list(manager.all_tasks):
        entry = known[name]
        if entry.kind.name in ("GROUP", "TAG") and not name.startswith("calib_"):
            assert known[f"calib_{name}"].name == f"calib_{name}"
            groups += 1
        elif entry.kind.name == "TASK":
            choice = (entry.cfg or {}).get("output_type") == "multiple_choice"
            own = "process_results" in (entry.cfg or {})
            assert (why_no_twin(entry) is None) or not choice or own, name
    assert groups > 1000
