"""`--model calibrated`: any base, the same accuracy, and what it refuses."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from kinds import kinds
from lm_eval import simple_evaluate
from logged_lines import save_run
from release import answers

from lm_eval_calibration.calibrators import METHODS, Calibrator, Training, fit
from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.models.calibrated import CalibratedLM
from lm_eval_calibration.predictions import Predictions

TASKS = ["calib_toy_norm", "toy_mutual", "toy_generate"]


def make(model: Path, folder: Path, **options: Any) -> CalibratedLM:
    return CalibratedLM(
        base="hf", calibrator=str(folder), pretrained=str(model), device="cpu", dtype="float32",
        batch_size=8, **options,
    )  # fmt: skip


def fitted(folder: Path, method: str) -> Path:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (300, 5))
    p = Predictions.from_options(logits, [int(g) for g in rng.integers(0, 5, 300)])
    fit(method, p).save_pretrained(folder)
    return folder


def evaluate(lm: Any, tasks: Any, names: list[str] = TASKS, **options: Any) -> dict[str, Any]:
    return dict(
        simple_evaluate(model=lm, tasks=names, task_manager=tasks, bootstrap_iters=0, **options)
    )


@pytest.mark.parametrize("method", kinds(METHODS, ["temperature", "vector", "isotonic"]))
def test_beliefs_are_the_calibrators(
    method: str, tiny_model: Path, tiny_lm: Any, tasks: Any, tmp_path: Path
) -> None:
    lm = make(tiny_model, fitted(tmp_path, method))
    with_it, without = (evaluate(m, tasks, limit=12) for m in (lm, tiny_lm))
    calibrator = Calibrator.from_pretrained(tmp_path)
    for a, b in zip(*(r["samples"]["calib_toy_norm"] for r in (with_it, without)), strict=True):
        raw, mapped = ([value for value, _ in answers(s)] for s in (b, a))
        expected = calibrator.transform(Predictions.from_options([raw], [0])).log_probabilities[0]
        found = Predictions.from_options([mapped], [0]).log_probabilities[0]
        np.testing.assert_allclose(found, expected, atol=1e-9)
    rows = [r["results"]["calib_toy_norm"] for r in (with_it, without)]
    if METHODS[method].keeps_order:
        assert rows[0]["acc,none"] == rows[1]["acc,none"]
    if method == "temperature":
        assert rows[0]["acc_norm,none"] == rows[1]["acc_norm,none"]
        for name in ("acc,none", "acc_mutual_info,none"):
            mutual = [r["results"]["toy_mutual"][name] for r in (with_it, without)]
            assert mutual[0] == mutual[1]
    generated = [r["results"]["toy_generate"] for r in (with_it, without)]
    assert generated[0] == generated[1]
    said = with_it["config"]["calibrator"]
    assert said["method"] == method and said["path"] == str(tmp_path)
    assert with_it["config"]["model_dtype"] == without["config"]["model_dtype"]
    json.dumps(said)


def test_fitted_on_a_logged_run_and_refused_on_it(
    tiny_model: Path, tiny_lm: Any, tasks: Any, tmp_path: Path
) -> None:
    save_run(tmp_path / "run", evaluate(tiny_lm, tasks, ["toy_norm"], log_samples=True))
    printed = run(
        "fit", "temperature", "--samples", tmp_path / "run", "--output", tmp_path / "ts"
    ).output
    assert "temperature, fitted on 40 documents of toy_norm: T = " in printed
    with pytest.raises(SeenDocumentsError, match="40 of 40 of `toy_norm`"):
        evaluate(make(tiny_model, tmp_path / "ts"), tasks, ["calib_toy_norm"])
    lm = make(tiny_model, tmp_path / "ts", allow_seen=True)
    results = evaluate(lm, tasks, ["calib_toy_norm"])
    assert results["config"]["calibrator"]["seen_documents"] == {"toy_norm": 40}
    assert results["config"]["calibrator"]["fitted_on"] == {"toy_norm": 40}


def test_two_tasks_with_the_same_documents_in_one_evaluation(
    tiny_model: Path, tiny_lm: Any, tasks: Any, tmp_path: Path
) -> None:
    lm = make(tiny_model, fitted(tmp_path, "beta"))
    names = ["calib_toy_norm", "calib_toy_plain", "toy_inputs"]
    together = evaluate(lm, tasks, names)["results"]
    for name in names:
        alone = evaluate(lm, tasks, [name])["results"]
        assert together[name]["acc,none"] == alone[name]["acc,none"]


def test_bad_arguments(tiny_model: Path, tmp_path: Path, tasks: Any) -> None:
    fitted(tmp_path, "temperature")
    with pytest.raises(InvalidInputError, match="`calibrator` must be a folder of"):
        CalibratedLM(base="hf", pretrained=str(tiny_model))
    with pytest.raises(InvalidInputError, match="`base` must be the `--model` of the model inside"):
        CalibratedLM(calibrator=str(tmp_path), pretrained=str(tiny_model))
    with pytest.raises(CalibrationError, match="`--use_cache` cannot be used here"):
        evaluate(make(tiny_model, tmp_path), tasks, use_cache=str(tmp_path / "cache"))


def test_another_models_calibrator_is_said(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    p = Predictions.from_options([[0.0, 1.0], [1.0, 0.0]], [1, 1])
    fit("temperature", p, Training(base_model="some/other")).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        lm = make(tiny_model, tmp_path)
    assert "was fitted for `some/other`, and this is" in caplog.text
    (mark,) = lm.get_model_info()["calibrator"]["other"]
    assert mark.startswith("was fitted for `some/other`")


def test_vector_refuses_more_options_than_it_knows(
    tiny_model: Path, tasks: Any, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    p = Predictions.from_options(rng.normal(size=(50, 3)), [0] * 50)
    fit("vector", p).save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="at most 3 options"):
        evaluate(make(tiny_model, tmp_path), tasks, ["calib_toy_norm"])
