"""What a fit came to, where it did not help."""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.cli.fit_words import helped, learned_nothing, points, rivalled
from lm_eval_calibration.predictions import Predictions

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(0.2, 0.9, 400)
RIGHT = RNG.random(400) < TRUTH


def believed(confidence: np.ndarray) -> Predictions:
    return Predictions.from_confidences(confidence, RIGHT)


TRUE, TOO_SURE = believed(TRUTH), believed(np.sqrt(TRUTH))


def test_a_fit_that_helps_needs_no_words() -> None:
    assert helped("platt", TOO_SURE, TRUE) is None
    assert rivalled("platt", {"platt": TRUE, "isotonic": TOO_SURE}, TOO_SURE) is None


def test_one_that_hurts_or_changes_nothing() -> None:
    assert "platt makes these beliefs worse (nll +" in str(helped("platt", TRUE, TOO_SURE))
    assert "changes nothing that can be told from chance (nll +0.0000" in str(
        helped("platt", TRUE, TRUE)
    )


def test_another_method_that_is_better_is_named_with_how_to_keep_it() -> None:
    found = str(rivalled("platt", {"platt": TOO_SURE, "isotonic": TRUE}, believed(TRUTH**0.3)))
    assert (
        "isotonic has the lower nll, for sure" in found
        and "--method isotonic keeps that one" in found
    )
    assert "worse" not in found
    assert "platt makes these beliefs worse" in str(
        rivalled("platt", {"platt": TOO_SURE, "isotonic": TRUE}, TRUE)
    )


def test_a_thermometer_that_learned_nothing() -> None:
    assert learned_nothing(40, {"a": 1.4, "b": 1.0}, 900) is None
    for step, temperatures in ((0, {"a": 1.4}), (40, {"a": 1.001, "b": 0.999})):
        found = str(learned_nothing(step, temperatures, 120))
        assert found.startswith("It learned nothing") and "120 documents of" in found


def test_a_posterior_that_is_a_point() -> None:
    assert points({0: 0.5, 1: 1.0}) is None
    assert str(points({0: 0.5, 1: 0.0})).startswith("member 1: no spread of the weights")
