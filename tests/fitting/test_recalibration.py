"""Cross-fitting: no document is mapped by what it was fitted on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run

from lm_eval_calibration.calibrators import METHODS, Calibrator
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.beliefs import Beliefs, of_runs
from lm_eval_calibration.fitting.recalibration import recalibrate
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.predictions import Predictions


def beliefs(gold: list[int] | None = None, count: int = 60) -> Beliefs:
    """An over-confident model's; given `gold` as the answer key."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 3, (count, 4))
    p = np.exp(logits / 2) / np.exp(logits / 2).sum(axis=1, keepdims=True)
    drawn = [int(rng.choice(4, p=row)) for row in p]
    gold = gold or drawn
    documents = rng.integers(0, 2**63, count).astype(np.uint64)
    return Beliefs({"toy": Predictions.from_options(logits, gold)}, {"toy": documents})


@pytest.mark.parametrize("method", [m for m in METHODS if not METHODS[m].label_free])
def test_a_documents_own_label_does_not_reach_its_held_out_belief(method: str) -> None:
    before = beliefs()
    p = before.predictions["toy"]
    assert p.gold is not None and p.log_probabilities is not None
    gold = p.gold.argmax(axis=1).tolist()
    by_belief = p.log_probabilities[7].argsort()
    keys = [[*gold[:7], int(option), *gold[8:]] for option in (by_belief[-1], by_belief[0])]
    a, b = (recalibrate(method, beliefs(key), folds=5, per_task=False) for key in keys)
    assert a.held_out.confidence[7] == b.held_out.confidence[7]
    assert not np.array_equal(a.held_out.confidence, b.held_out.confidence)
    assert len(a.held_out) == len(a.before) == len(a.in_sample) == 60


def test_fitted_flatters() -> None:
    """Isotonic regression looks better on its own documents."""
    found = recalibrate("isotonic", beliefs(count=300), folds=5, per_task=False)
    same, held = (
        evaluate(p, ["nll"], replicates=0)["nll"].value for p in (found.in_sample, found.held_out)
    )
    assert same < held


def test_per_task(tmp_path: Path) -> None:
    one, two = beliefs(), beliefs(count=40)
    both = Beliefs(
        {"a": one.predictions["toy"], "b": two.predictions["toy"]},
        {"a": one.documents["toy"], "b": two.documents["toy"]},
    )
    found = recalibrate("temperature", both, folds=4, per_task=True)
    assert set(found.calibrator.parameters) == {"a", "b"}
    assert found.calibrator.training.tasks == {"a": 60, "b": 40}
    assert len(found.held_out) == 100


def test_too_few_documents_for_the_folds() -> None:
    with pytest.raises(
        InvalidInputError,
        match=r"`--folds` must be at most the number of documents of `toy`, 3, got 5",
    ):
        recalibrate("temperature", beliefs(count=3), folds=5, per_task=False)
    copies = replace(beliefs(), documents={"toy": np.zeros(60, np.uint64)})
    with pytest.raises(
        InvalidInputError, match="the number of different documents of `toy`, 1, got 2"
    ):
        recalibrate("prior", copies, folds=2, per_task=False)
    with pytest.raises(InvalidInputError, match="`--folds` must be at least 2"):
        recalibrate("temperature", beliefs(), folds=1, per_task=False)


def samples(task: str) -> Samples:
    return Samples("run", task, Path("x.jsonl"), beliefs().predictions["toy"])


def test_one_run_and_each_document_once() -> None:
    run_a = Run("a", {"toy": samples("toy")})
    with pytest.raises(InvalidInputError, match="one run, got 2: a, a"):
        of_runs([run_a, run_a])
    twice = Run("a", {"toy": samples("toy"), "calib_toy": samples("calib_toy")})
    with pytest.raises(InvalidInputError, match="`toy` and its twin"):
        of_runs([twice])
    assert of_runs([run_a]).base_model == ""  # (a label is none, and no results file names one)


def test_a_table_of_confidences(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [(c, int(rng.uniform() < c**2)) for c in rng.uniform(0.3, 1, 200)]
    table = tmp_path / "log.csv"
    table.write_text("p,right\n" + "\n".join(f"{c},{y}" for c, y in rows) + "\n")
    printed = run(
        "fit", "platt", "--samples", table, "--confidence", "p", "--correct", "right",
        "--output", tmp_path / "out",
    ).output  # fmt: skip
    assert "held out in 5 folds" in printed and "brier" not in printed
    assert Calibrator.from_pretrained(tmp_path / "out").method == "platt"


def test_what_to_fit_on_must_be_said(tmp_path: Path) -> None:
    for arguments in ([], ["--samples", "x", "--tasks", "y"]):
        with pytest.raises(InvalidInputError, match="Give either --samples"):
            run("fit", "beta", "--output", tmp_path, *arguments)


def test_a_models_pass_over_documents_that_are_not_evaluated(
    tiny_model: Path, task_folder: Path, tmp_path: Path, tasks: Any
) -> None:
    """By default the training split here, since tasks evaluate on test."""
    common = ["--model", "hf", "--model_args", f"pretrained={tiny_model},dtype=float32"]
    common += ["--device", "cpu", "--include_path", task_folder]
    run("fit", "temperature", *common, "--tasks", "toy_norm", "--folds", "3", "--output", tmp_path)
    calibrator = Calibrator.from_pretrained(tmp_path)
    assert calibrator.training.tasks == {"toy_norm": 12}
    for words, match in (
        (["--tasks", "toy_generate"], "`toy_generate` is a generate_until task"),
        (["--tasks", "no_such_task"], "`--tasks` must be names of harness tasks"),
        (["--tasks", "toy_norm", "--split", "dev"], "one of test, train .* got `dev`"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            run("fit", "temperature", *common, *words, "--output", tmp_path / "no")


def test_the_commands_are_the_methods() -> None:
    from lm_eval_calibration.cli.commands.fit import RECALIBRATORS

    assert {name: method.meaning for name, method in METHODS.items()} == RECALIBRATORS
