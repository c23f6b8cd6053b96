"""Numbers and findings in words: never more than the numbers say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from lm_eval_calibration.metrics.evaluate import Estimate, NullBand
from lm_eval_calibration.predictions import Predictions

UNDEFINED = "undefined"


class Verdict(Enum):
    """Where a value lies among those of perfectly calibrated models with the same confidences."""

    ABOVE = "above"
    INSIDE = "inside"
    BELOW = "below"
    UNKNOWN = "unknown"


def number(value: float, digits: int = 3) -> str:
    """A figure for readers.

    >>> number(0.25), number(float("inf")), number(float("nan"))
    ('0.250', '∞', 'undefined')
    """
    if math.isnan(value):
        return UNDEFINED
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


def group_mean(value: float, plain: bool) -> str:
    """A metric's mean over a group's tasks, as the live run's row has it.

    >>> group_mean(0.25, False), group_mean(0.25, True)
    ('0.250', '0.250 (plain mean)')
    """
    return number(value) + (" (plain mean)" if plain else "")


def level(value: float) -> str:
    """A confidence to act on, with as many digits as keep it apart from 1.

    >>> level(0.8125), level(0.99997), level(1.0)
    ('0.812', '0.99997', '1.000')
    """
    near = 1.0 - value
    return number(value, max(3, math.ceil(-math.log10(near)))) if 0 < near < 1 else number(value)


def interval(e: Estimate) -> str:
    """The 95 % interval in brackets, or nothing where there is none."""
    return "" if math.isnan(e.low) else f"[{number(e.low)}, {number(e.high)}]"


def band(null: NullBand | None) -> str:
    """What a calibrated model would score, or nothing where that is not known."""
    return "" if null is None else f"{number(null.low)} to {number(null.high)}"


def valued(name: str, e: Estimate | None) -> str:
    """A metric's name, value, interval and null band in one line; nothing without an estimate."""
    if e is None:
        return ""
    text = f"{name} {number(e.value)}{_spaced(interval(e))}"
    return f"{text}; if calibrated {band(e.null)}" if e.null and not math.isnan(e.value) else text


def p_value(p: float) -> str:
    """A p-value for readers, never a bare 0."""
    return "-" if math.isnan(p) else f"{p:.3f}" if p >= 0.001 else "< 0.001"


def percent(share: float) -> str:
    """A share of documents or of probability; all or nothing only where it is exactly that.

    >>> percent(0.25), percent(0.99999), percent(1.0)
    ('25.0 %', '> 99.9 %', '100.0 %')
    """
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def verdict(e: Estimate | None) -> Verdict:
    """Where an estimate lies with respect to its null band."""
    if e is None or e.null is None or math.isnan(e.value):
        return Verdict.UNKNOWN
    if e.value > e.null.high:
        return Verdict.ABOVE
    return Verdict.BELOW if e.value < e.null.low else Verdict.INSIDE


class Finding(NamedTuple):
    """What the numbers say of one set of documents: in a few words, in short, and in full."""

    headline: str
    short: str
    sentence: str


def finding(predictions: Predictions, estimates: Mapping[str, Estimate]) -> Finding:
    """Is the model over- or under-confident here, and is its ECE more than noise?

    Args:
        predictions: N documents.
        estimates: by metric name; `acc` and `ece` are read, either may be missing.
    """
    confidence, accuracy = float(predictions.confidence.mean()), float(predictions.correct.mean())
    gap = confidence - accuracy
    ece = estimates.get("ece")
    points = f"{abs(100 * gap):.1f} points {'above' if gap > 0 else 'below'}"
    short = (
        f"Mean confidence {percent(confidence)}, {points} the accuracy of {percent(accuracy)}. "
        f"{_full_stop(valued('ECE', ece))}"
    )
    full = (
        f"Mean confidence {percent(confidence)} is {points} the accuracy of "
        f"{percent(accuracy)}. {_ece_sentence(ece)}"
    )
    headline = _headline(verdict(estimates.get("acc")), verdict(ece), gap)
    return Finding(headline, short.rstrip(), full.rstrip())


def _headline(acc: Verdict, ece: Verdict, gap: float) -> str:
    """In the words that every figure beside it bears out.

    The accuracy's null is the mean confidence, so an accuracy below it means over-confident; where an ECE
    stands beside it that is no larger than by chance, the two are told apart.
    """
    outside = {Verdict.BELOW: "Over-confident", Verdict.ABOVE: "Under-confident"}.get(acc)
    chance = ece in (Verdict.INSIDE, Verdict.BELOW)
    if outside and not chance:
        return outside
    side = "above" if gap > 0 else "below"
    if outside:
        return f"Confident {side} the accuracy, but with an ECE within chance"
    if ece is Verdict.ABOVE:
        return "Miscalibrated; whether over- or under-confident on the whole is not told for sure"
    if Verdict.INSIDE in (acc, ece):
        return "No evidence of miscalibration"
    return f"Confident {side} the accuracy"


def _ece_sentence(e: Estimate | None) -> str:
    if e is None:
        return ""
    value = f"ECE {number(e.value)}{_spaced(interval(e))}"
    if e.null is None:
        return f"{value}."
    expected = (
        f"{band(e.null)} that 95 of 100 perfectly calibrated models with these confidences "
        "would score"
    )
    where = {
        Verdict.ABOVE: f"lies above the {expected}.",
        Verdict.INSIDE: f"lies inside the {expected}.",
        Verdict.BELOW: f"lies below the {expected}: no evidence of miscalibration.",
    }
    return f"{value} {where[verdict(e)]}" if verdict(e) in where else f"{value}."


def _full_stop(text: str) -> str:
    return f"{text}." if text else ""


def _spaced(text: str) -> str:
    return f" {text}" if text else ""


def common_start(names: Sequence[str], separators: str) -> str:
    """The whole words that all of several names begin with, and no name consists of.

    >>> common_start(["mmlu_law", "mmlu_logic"], "_")
    'mmlu_'
    """
    if len(names) < 2:
        return ""
    first, last = min(names), max(names)  # what these two share, all share
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), -1)
    shared = first[: length if length >= 0 else min(len(first), len(last)) - 1]
    return shared[: max(shared.rfind(c) for c in separators) + 1]


def undefined_reason(name: str, predictions: Predictions | None) -> str:
    """Why a metric has no value on these documents."""
    if predictions is not None and name.startswith("auroc"):
        if predictions.correct.all():
            return "every answer is right, so there is no wrong one to rank below"
        if not predictions.correct.any():
            return "every answer is wrong, so there is no right one to rank above"
    return "not defined on these documents"


def infinite_reason(name: str) -> str:
    """Why a metric is infinite."""
    return f"a right option has probability 0, so {name} is infinite"
