"""Uncertainty of several models, against scipy and by laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.decomposition import decompose

few = settings(derandomize=True, deadline=None, max_examples=60)


def draws(seed: int, count: int, options: int, documents: int = 7) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(options, 0.3), size=(documents, count))


@given(st.integers(0, 999), st.integers(1, 9), st.integers(1, 6))
@few
def test_laws(seed: int, count: int, options: int) -> None:
    p = draws(seed, count, options)
    found = decompose(p)
    np.testing.assert_allclose(found.entropy, entropy(p.mean(axis=1), axis=-1), atol=1e-12)
    np.testing.assert_allclose(found.expected_entropy, entropy(p, axis=-1).mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(
        found.mutual_information, found.entropy - found.expected_entropy, atol=1e-12
    )
    assert (found.mutual_information >= 0).all()
    assert (found.entropy <= np.log(options) + 1e-12).all()
    assert (found.mutual_information <= np.log(count) + 1e-12).all()
    assert ((found.disagreement >= 0) & (found.disagreement < 1 + 1e-12)).all()
    for other in (decompose(p[:, ::-1]), decompose(np.repeat(p, 2, axis=1))):
        for a, b in zip(found, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)
    padded = np.concatenate([p, np.zeros((*p.shape[:2], 2))], axis=2)
    for a, b in zip(found, decompose(padded), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_one_draw_has_nothing_to_disagree_with() -> None:
    found = decompose(draws(0, 1, 4))
    assert (found.mutual_information == 0).all() and (found.disagreement == 0).all()


def test_mutual_information_is_the_mean_divergence_from_the_average() -> None:
    p = draws(3, 5, 4)
    average = p.mean(axis=1, keepdims=True)
    divergence = entropy(p, np.broadcast_to(average, p.shape), axis=-1).mean(axis=1)
    np.testing.assert_allclose(decompose(p).mutual_information, divergence, atol=1e-12)


def test_what_is_refused() -> None:
    for bad, match in (
        (np.array([0.5, 0.5]), "shape"),
        (np.empty((3, 0, 2)), "shape"),
        (np.array([[0.5, 0.6]]), "distributions"),
        (np.array([[1.5, -0.5]]), "distributions"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            decompose(bad)
