"""P(True) with what scales it: a thermometer as its base, a recalibrator on what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from scipy.special import expit, logit

from lm_eval_calibration.calibrators import Calibrator, Training
from lm_eval_calibration.calibrators.calibrator import fit
from lm_eval_calibration.calibrators.held_out import OtherPromptsError, SeenDocumentsError
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.p_true import PTrueLM
from lm_eval_calibration.models.shared.instances import document_hash
from lm_eval_calibration.predictions import Predictions

TASK = "calib_toy_generate"


def samples(lm: PTrueLM, tasks: Any) -> list[dict[str, Any]]:
    found = simple_evaluate(model=lm, tasks=[TASK], task_manager=tasks, limit=8, bootstrap_iters=0)
    return list(found["samples"][TASK])


def confidences(lm: PTrueLM, tasks: Any) -> np.ndarray:
    return np.array([sample["envelopes"]["confidence"] for sample in samples(lm, tasks)])


@pytest.fixture(scope="module")
def plain(tiny_model: Path, tasks: Any) -> np.ndarray:
    return confidences(PTrueLM(base="hf-fast", **settings(tiny_model)), tasks)


def settings(model: Path) -> dict[str, Any]:
    return {"pretrained": str(model), "device": "cpu", "dtype": "float32", "batch_size": 4}


def test_a_thermometer_divides_the_two_log_likelihoods(
    plain: np.ndarray, tiny_model: Path, thermometer_folder: Path, tasks: Any
) -> None:
    options = {"thermometer": str(thermometer_folder), **settings(tiny_model)}
    with pytest.raises(OtherPromptsError, match=r"by log-likelihoods; .* is asked .*by p_true"):
        confidences(PTrueLM(base="thermometer", **options), tasks)
    lm = PTrueLM(base="thermometer", allow_other=True, **options)
    found = confidences(lm, tasks)
    assert lm.get_model_info()["thermometer"]["other"]
    (used,) = lm.base.temperatures.values()
    assert found == pytest.approx(expit(logit(plain) / used["temperature"]), abs=1e-4)


def calibrator(folder: Path, hashes: list[int]) -> str:
    rng = np.random.default_rng(0)
    beliefs = Predictions.from_confidences(rng.uniform(0.2, 1, 200), rng.random(200) < 0.4)
    training = Training(documents=np.array(hashes, dtype=np.uint64))
    fit("platt", beliefs, training).save_pretrained(folder)
    return str(folder)


def test_a_recalibrator_maps_what_comes_out(
    plain: np.ndarray, tiny_model: Path, tasks: Any, tmp_path: Path
) -> None:
    folder = calibrator(tmp_path / "cal", [])
    lm = PTrueLM(base="hf-fast", calibrator=folder, **settings(tiny_model))
    beliefs = Predictions.from_confidences(plain, [False] * len(plain))
    expected = Calibrator.from_pretrained(folder).transform(beliefs).confidence
    assert confidences(lm, tasks) == pytest.approx(expected, abs=1e-4)
    assert lm.get_model_info()["calibrator"]["method"] == "platt"


def test_documents_that_it_was_fitted_on_are_refused(
    tiny_model: Path, tasks: Any, tmp_path: Path
) -> None:
    plain_lm = PTrueLM(base="hf-fast", **settings(tiny_model))
    seen = [document_hash(sample["doc"]) for sample in samples(plain_lm, tasks)[:3]]
    folder = calibrator(tmp_path / "cal", seen)
    with pytest.raises(SeenDocumentsError, match="3 of 8 of `toy_generate`"):
        samples(PTrueLM(base="hf-fast", calibrator=folder, **settings(tiny_model)), tasks)
    lm = PTrueLM(base="hf-fast", calibrator=folder, allow_seen=True, **settings(tiny_model))
    assert len(samples(lm, tasks)) == 8
    assert lm.get_model_info()["calibrator"]["seen_documents"] == {"toy_generate": 3}
    with pytest.raises(InvalidInputError, match="nowhere"):
        PTrueLM(base="scripted", calibrator=str(tmp_path / "nowhere"))
