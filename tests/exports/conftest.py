"""Two runs to publish: one whose results tell where it comes from, and one with a hostile name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.predictions import Predictions

RESULTS = {
    "model_name": "org/model",
    "lm_eval_version": "0.4.13",
    "date": 1780000000.5,
    "config": {
        "model": "hf",
        "model_dtype": "torch.float32",
        "model_args": {"pretrained": "/home"},
    },
    "configs": {
        "calib_arc_easy": {"dataset_path": "allenai/ai2_arc", "test_split": "test"},
        "mine": {"dataset_path": "/home/me/data"},
    },
}


def run(label: str, skill: float, results: tuple[dict[str, Any], ...] = ()) -> Run:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 3, 40)
    scores = rng.normal(size=(40, 3))
    scores[np.arange(40), gold] += skill
    beliefs = Predictions.from_options(scores.tolist(), gold.tolist())
    hashes = np.arange(40, dtype=np.uint64)
    tasks = {t: Samples(label, t, Path(t), beliefs, doc_hash=hashes) for t in ("arc_easy", "mine")}
    return Run(label, tasks, results=results)


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    return [run("model", 1.0, (RESULTS,)), run("../con", 0.1)]
