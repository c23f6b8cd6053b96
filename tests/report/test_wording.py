"""Findings claim what the numbers say, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_calibration import Predictions, evaluate
from lm_eval_calibration.metrics import Estimate, NullBand
from lm_eval_calibration.report.wording import (
    Verdict,
    common_start,
    finding,
    level,
    percent,
    undefined_reason,
    valued,
    verdict,
)

NAN = float("nan")


def estimate(name: str, value: float, null: tuple[float, float] | None) -> Estimate:
    band = NullBand(sum(null) / 2, *null) if null else None
    return Estimate(name, value, 0.01, value - 0.02, value + 0.02, band)


@pytest.mark.parametrize(
    ("acc", "ece", "headline"),
    [
        ((0.5, (0.6, 0.7)), (0.2, (0.0, 0.1)), "Over-confident"),
        ((0.5, (0.6, 0.7)), (0.2, None), "Over-confident"),
        (
            (0.5, (0.6, 0.7)),
            (0.05, (0.0, 0.1)),
            "Confident above the accuracy, but with an ECE within chance",
        ),
        ((0.8, (0.6, 0.7)), (0.2, (0.0, 0.1)), "Under-confident"),
        ((0.65, (0.6, 0.7)), (0.05, (0.0, 0.1)), "No evidence of miscalibration"),
        (
            (0.65, (0.6, 0.7)),
            (0.2, (0.0, 0.1)),
            "Miscalibrated; whether over- or under-confident on the whole is not told for sure",
        ),
        ((0.65, (0.6, 0.7)), (0.01, (0.02, 0.1)), "No evidence of miscalibration"),
        ((0.5, None), (0.2, None), "Confident above the accuracy"),
    ],
)
def test_headlines(acc: tuple, ece: tuple, headline: str) -> None:
    predictions = Predictions.from_confidences([0.65, 0.75], [1, 0])
    found = finding(predictions, {"acc": estimate("acc", *acc), "ece": estimate("ece", *ece)})
    assert found.headline == headline
    assert found.sentence.startswith("Mean confidence 70.0 % is 20.0 points above the accuracy of")


def test_a_calibrated_model_is_acquitted_and_an_over_confident_one_is_not() -> None:
    rng = np.random.default_rng(0)
    c = rng.uniform(0.3, 0.9, 500)
    for truth, headline, where in (
        (c, "No evidence of miscalibration", "lies inside the 0."),
        (c - 0.2, "Over-confident", "lies above the 0."),
        (c + 0.1, "Under-confident", "points below the accuracy"),
    ):
        p = Predictions.from_confidences(c, rng.random(500) < truth)
        found = finding(p, evaluate(p, ["acc", "ece"], replicates=200))
        assert found.headline == headline
        assert where in found.sentence


def test_no_figures_no_claims() -> None:
    found = finding(Predictions.from_confidences([0.4], [1]), {})
    assert found.headline == "Confident below the accuracy"
    assert found.sentence == found.sentence.strip()
    assert "ECE" not in found.short + found.sentence


def test_verdicts() -> None:
    assert verdict(None) is Verdict.UNKNOWN
    assert verdict(estimate("ece", NAN, (0, 1))) is Verdict.UNKNOWN
    assert verdict(estimate("ece", 0.1, (0.0, 0.1))) is Verdict.INSIDE
    assert verdict(estimate("ece", 0.1, (0.2, 0.3))) is Verdict.BELOW


def test_values_in_a_line() -> None:
    assert valued("ECE", None) == ""
    assert valued("ECE", estimate("ece", 0.1, None)) == "ECE 0.100 [0.080, 0.120]"
    assert valued("ECE", Estimate("ece", 0.1, NAN, NAN, NAN, None)) == "ECE 0.100"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.500"),
        (0.9994, "0.9994"),
        (0.99997, "0.99997"),
        (1 - 2**-40, "0.9999999999991"),
        (1, "1.000"),
    ],
)
def test_a_level_below_1_does_not_read_as_1(value: float, text: str) -> None:
    assert level(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0.0 %"), (1e-9, "< 0.1 %"), (0.0005, "0.1 %"), (0.9994, "99.9 %"), (0.9996, "> 99.9 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("names", "start"),
    [
        (["a_b_c", "a_b_d"], "a_b_"),
        (["a_b", "a_b_c"], "a_"),
        (["same_x", "same_x"], "same_"),
        (["x"], ""),
        (["abc", "abd"], ""),
        ([], ""),
    ],
)
def test_common_start(names: list[str], start: str) -> None:
    assert common_start(names, "_") == start


def test_reasons() -> None:
    wrong = Predictions.from_confidences([0.4], [0])
    assert "every answer is wrong" in undefined_reason("auroc", wrong)
    assert undefined_reason("auroc_norm", None) == "not defined on these documents"
