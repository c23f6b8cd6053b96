"""A thermometer of generated answers: which are right, what it learns from, and how it is used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from lm_eval import simple_evaluate
from scipy.special import expit

from lm_eval_calibration.calibrators.thermometer import PRESETS
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.features import FeatureStore
from lm_eval_calibration.fitting.free_form import FreeFormAnswering, asker
from lm_eval_calibration.fitting.leave_one_out import ANSWERS, answers_of
from lm_eval_calibration.fitting.sources import ModelArguments
from lm_eval_calibration.fitting.task_documents import ANSWERS as GENERATED
from lm_eval_calibration.fitting.task_documents import Prompting, Selection
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.p_true import PTrueLM
from lm_eval_calibration.predictions import Predictions

TASKS = ("toy_generate", "toy_filters")
asked: list[str] = []


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is right about two documents in three, and what it was asked is noted."""

    def answer(self: Any, requests: list[Any], **_: Any) -> list[str]:
        asked.extend(str(r.args[0]) for r in requests)
        return [r.doc["options"][r.doc["answer"]] if r.doc_id % 3 else "?" for r in requests]

    asked.clear()
    monkeypatch.setattr(FastHFLM, "generate_until", answer)


@pytest.fixture
def lm(tiny_model: Path) -> PTrueLM:
    return asker(ModelArguments("hf-fast", f"pretrained={tiny_model},dtype=float32", "cpu", "4"))


def of(lm: PTrueLM, folder: Path, names: tuple[str, ...], name: str | None = None, limit: int = 9):
    selection = Selection(names, None, Prompting(limit=limit), str(folder))
    return FreeFormAnswering(selection, name).ask(lm, selection.load(GENERATED))


def test_answers_are_graded_by_their_tasks(lm: PTrueLM, task_folder: Path) -> None:
    found = of(lm, task_folder, TASKS, None)
    assert set(found) == set(TASKS)
    learn = found["toy_generate"].learn
    assert learn.gold == {i: [0 if i % 3 else 1] for i in range(9)}
    assert len(learn.requests) == 18 and learn.prompts.options == "letters"
    assert "Proposed answer: ?" in learn.requests[0].args[0]
    assert [r.args[1] for r in learn.requests[:2]] == [" A", " B"]


def test_a_filter_grades_alike_or_is_named(lm: PTrueLM, task_folder: Path) -> None:
    plain = of(lm, task_folder, ("calib_toy_filters",), "plain")["toy_filters"].learn
    assert plain.gold == of(lm, task_folder, ("toy_generate",))["toy_generate"].learn.gold
    with pytest.raises(InvalidInputError, match=r"strict, plain.*`toy_filters`.*got `none`"):
        of(lm, task_folder, ("toy_filters",), "none")


@pytest.mark.parametrize(
    ("names", "limit", "match"),
    [
        (("toy_norm",), 9, "`toy_norm` is a multiple_choice task: `--free_form`"),
        (("toy_unknown",), 9, "names of harness tasks, got `toy_unknown`"),
        (("toy_generate",), 1, "none of the 1 answers are right"),
    ],
)
def test_what_teaches_nothing_is_refused(
    lm: PTrueLM, task_folder: Path, names: tuple[str, ...], limit: int, match: str
) -> None:
    with pytest.raises(InvalidInputError, match=match):
        of(lm, task_folder, names, limit=limit)


def test_scores_between_0_and_1_are_no_labels(
    lm: PTrueLM, task_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(("toy_generate",), None, Prompting(limit=9), str(task_folder))
    tasks = selection.load(GENERATED)
    monkeypatch.setattr(tasks["toy_generate"], "_score", lambda *_, **__: 0.25)
    with pytest.raises(InvalidInputError, match=r"`exact_match` scores .* \(got 0.25\)"):
        FreeFormAnswering(selection).ask(lm, tasks)


def test_the_table_reads_answers() -> None:
    rng = np.random.default_rng(0)
    logits, gold = rng.normal(size=(50, 2)), rng.integers(0, 2, 50)
    beliefs = Predictions.from_options(list(logits), [[int(g)] for g in gold])
    yes, right = expit(logits[:, 0] - logits[:, 1]), gold == 0
    found = answers_of(beliefs)
    assert found.confidence == pytest.approx(yes) and (found.correct == right).all()
    both = -np.log(np.where(right, yes, 1 - yes)).mean()
    assert ANSWERS["nll"].of(beliefs) == pytest.approx(both)
    pairs = np.sign(yes[right][:, None] - yes[~right]) / 2 + 0.5
    assert ANSWERS["auroc"].of(beliefs) == pytest.approx(pairs.mean())
    surer = np.where(yes > 0.5, yes, 1 - yes)
    assert ANSWERS["ece_choice"].read(beliefs).confidence == pytest.approx(surer)


def test_fitted_on_one_set_and_used_on_another(
    tiny_model: Path, task_folder: Path, tmp_path: Path, tasks: Any, monkeypatch: Any
) -> None:
    monkeypatch.setitem(
        PRESETS, "default", replace(PRESETS["default"], steps=100, start_at_one=False)
    )
    fit = [
        "fit", "thermometer", "--free_form", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--include_path", task_folder, "--output", tmp_path / "t", "--limit", "9",
        "--filter", "plain", "--tasks", ",".join(TASKS), "--leave-one-out", "--seeds", "1",
        "--split", "train",
    ]  # fmt: skip
    printed = run(*fit).output
    assert "auroc" in printed and "ece_choice" in printed
    first = len(asked)
    assert run(*fit).output == printed and len(asked) == first  # (kept)
    config = json.loads((tmp_path / "t" / "config.json").read_text())
    assert config["tasks"] == {"toy_generate": 9, "toy_filters": 9}
    ((key, _), *_) = FeatureStore(tmp_path / "t" / "features").stored()
    assert key.split == "train"

    def evaluated(**more: Any) -> list[float]:
        options = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32", **more}
        model = PTrueLM(**options)
        found = simple_evaluate(
            model=model,
            tasks=["calib_toy_generate"],
            task_manager=tasks,
            limit=8,
            bootstrap_iters=0,
        )
        return [s["envelopes"]["confidence"] for s in found["samples"]["calib_toy_generate"]]

    plain = evaluated(base="hf-fast")
    scaled = evaluated(base="thermometer", thermometer=str(tmp_path / "t"))
    slope = np.log(plain) - np.log1p(-np.array(plain))
    ratio = slope / (np.log(scaled) - np.log1p(-np.array(scaled)))
    assert ratio == pytest.approx(np.full(8, ratio[0]), rel=1e-3) and ratio[0] != 1


def test_a_filter_without_answers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="`--filter` belongs to `--free_form`"):
        run("fit", "thermometer", "--tasks", "toy", "--filter", "x", "--output", tmp_path / "t")


def test_several_processes_are_refused(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PTrueLM, "world_size", 2)
    with pytest.raises(CalibrationError, match="runs in one process, got 2"):
        asker(ModelArguments("hf-fast", f"pretrained={tiny_model}", "cpu"))


DEGREE = """task: of_degree
include: toy_generate.yaml
process_results: !function degrees.process_results
metric_list:
  - {metric: length, aggregation: mean, higher_is_better: true}
"""


def test_a_metric_of_degree_is_refused_before_anything_is_answered(
    lm: PTrueLM, task_folder: Path, tmp_path: Path
) -> None:
    """Even where another task comes first."""
    for file in task_folder.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "degrees.py").write_text(
        "def process_results(doc, results):\n    return {'length': float(len(results[0]))}\n"
    )
    (tmp_path / "of_degree.yaml").write_text(DEGREE)
    with pytest.raises(InvalidInputError, match=r"`of_degree`: `length` scores answers between"):
        of(lm, tmp_path, ("toy_generate", "of_degree"))
    assert not asked
