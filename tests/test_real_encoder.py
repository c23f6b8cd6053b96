"""The default encoder, read from the package that carries it."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from lm_eval_calibration.fractal.encoders import DEFAULT, PACKAGED, Encoder

pytestmark = pytest.mark.slow


def test_the_packaged_encoder_knows_what_sentences_are_about() -> None:
    if importlib.util.find_spec(PACKAGED[DEFAULT]) is None:
        pytest.skip(f"no {PACKAGED[DEFAULT]} is installed")
    question, near, far = Encoder().encode(
        ["Who wrote Hamlet?", "Shakespeare is the author of Hamlet.", "Bananas are rich in potash."]
    )
    assert question.shape == (384,)
    assert np.linalg.norm(question) == pytest.approx(1, abs=1e-4)
    assert question @ near > question @ far + 0.3
