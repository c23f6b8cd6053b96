"""Metrics of tensors: the same figures, of the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.arrays import as_array
from lm_eval_calibration.metrics import METRICS, bind

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
CONFIDENCE = RNG.uniform(size=50)
CORRECT = RNG.random(50) < CONFIDENCE
PAIRS = [n for n, m in METRICS.items() if not m.family.needs_options and m.parameter is None]


@pytest.mark.parametrize("name", PAIRS)
def test_metrics_of_tensors(name: str) -> None:
    score: Any = bind(name).score
    wanted = score(CONFIDENCE, CORRECT)
    tensor = torch.tensor(CONFIDENCE, requires_grad=True)
    assert score(tensor, torch.tensor(CORRECT)) == pytest.approx(wanted, nan_ok=True)
    rough = torch.tensor(CONFIDENCE).bfloat16()
    again = rough.double().numpy()
    assert score(rough, torch.tensor(CORRECT)) == pytest.approx(score(again, CORRECT), nan_ok=True)


def test_nothing_is_copied_that_need_not_be() -> None:
    tensor = torch.tensor(CONFIDENCE)
    assert np.shares_memory(as_array(tensor), tensor.numpy())
    assert as_array(CONFIDENCE) is CONFIDENCE
