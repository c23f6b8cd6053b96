"""A leaderboard of models whose names do what they can."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration.analysis.leaderboard import Leaderboard, leaderboard
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.predictions import Predictions

MODELS = {
    "org/large": 1.5,
    "org/small": 0.2,
    "<script>window.hacked=1</script>": 0.7,
    '" onmouseover="window.hacked=2': 0.4,
    "\u202eedis gnorw {{ 7 * 7 }}": 0.9,
}
TASKS = ("mmlu_law", "mmlu_logic", "arc<b>")


def run(label: str, skill: float, tasks: tuple[str, ...] = TASKS, count: int = 60) -> Run:
    """A model that is as good as its skill on documents that all models have."""
    found = {}
    for task in tasks:
        shared = np.random.default_rng(len(task))
        own = np.random.default_rng((int(100 * skill), len(task)))
        gold = shared.integers(0, 4, count)
        scores = shared.normal(size=(count, 4)) + 0.5 * own.normal(size=(count, 4))
        scores[np.arange(count), gold] += skill
        beliefs = Predictions.from_options(scores.tolist(), gold.tolist())
        found[task] = Samples(
            label, task, Path(task), beliefs, doc_hash=np.arange(count, dtype=np.uint64)
        )
    return Run(label, found)


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    return [run(label, skill) for label, skill in MODELS.items()]


@pytest.fixture(scope="session")
def board(runs: list[Run]) -> Leaderboard:
    return leaderboard(runs, replicates=100)
