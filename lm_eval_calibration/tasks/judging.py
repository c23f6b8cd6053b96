"""What a generation task says of single answers: which are none, which are equal, what each scores.

An answer that the task's filters could not find is no answer: what they make of an empty text (the
harness's regular expressions give "[invalid]"), unless that is the right answer of some document; a
text without a character; one that the task's `process_results` does not judge. It is wrong, and it
agrees with nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.harness.requests import MEANS

EXACT = "exact_match"
VERDICT = re.compile(r"^(acc|accuracy|exact|exact_match|em|pass@1)$|_(acc|accuracy|em)$")
"""Names of metrics that say of an answer whether it is right."""
Score = Callable[[Any, Any], "float | None"]
"""`score(doc, value)`: of an answer, by the judging metric; `None` where the task does not judge it."""


@dataclass(frozen=True)
class Judged:
    """Answers to one document under one filter.

    Attributes:
        values: as the filter leaves them.
        scores: by the judging metric; 0 for what it does not judge.
        labels: equal numbers for equal answers, `None` for what is no answer.
    """

    values: tuple[Any, ...]
    scores: tuple[float, ...]
    labels: tuple[int | None, ...]


def judging_metric(pooled: Mapping[str, str], listed: Sequence[str]) -> str | None:
    """The first of a task's metrics that is a verdict by its name, else the first that scores every document.

    `None` where none scores every document by a number.

    Args:
        pooled: by metric, the name of what pools it over documents.
        listed: the metrics, in the task's order.

    >>> judging_metric({"bleu_max": "mean", "bleu_acc": "mean"}, ["bleu_max", "bleu_acc"])
    'bleu_acc'
    """
    scoring = [name for name in listed if pooled.get(name) in MEANS]
    verdicts = (name for name in scoring if VERDICT.search(name))
    return next(verdicts, next(iter(scoring), None))


def nothing_found(score: Score, docs: Sequence[Any], made: Sequence[Any]) -> list[object]:
    """What stands for no answer to each document, or `None` where nothing does.

    Args:
        score: the task's.
        docs: N documents.
        made: (N,) what a filter makes of an empty text.
    """
    for doc, value in zip(docs, made, strict=True):
        try:
            if score(doc, value):
                return [None] * len(docs)  # (an answer like others)
        except Exception:  # noqa: BLE001 - a task's own function, of a value that nobody gave it
            continue
    return list(made)


def is_none(value: Any, nothing: object) -> bool:
    """Whether a value is no answer.

    >>> is_none("[invalid]", "[invalid]"), is_none(" ", "[invalid]"), is_none("5", "[invalid]")
    (True, True, False)
    """
    if value is None or (nothing is not None and repr(value) == repr(nothing)):
        return True
    return isinstance(value, str) and not value.strip()


def labelled(
    values: Sequence[Any], answered: Sequence[bool], equal: Callable[[Any, Any], bool]
) -> tuple[int | None, ...]:
    """The number of the first answer that each is equal to, `None` for what is none.

    Equality is carried on: of three answers whose first equals the second, and the second the third,
    all are one.
    """
    labels: list[int | None] = []
    for i, value in enumerate(values):
        if not answered[i]:
            labels.append(None)
            continue
        alike = sorted(
            {
                label
                for k, label in enumerate(labels)
                if label is not None and equal(values[k], value)
            }
        )
        first = alike[0] if alike else i
        labels = [first if label in alike else label for label in labels]
        labels.append(first)
    return tuple(labels)


def equality(metric: str, function: Callable[..., Any] | None, options: Mapping[str, Any]) -> Any:
    """What a task calls equal: by its own `exact_match` with all its options, else the same text.

    Args:
        metric: the judging metric.
        function: the harness's; `None` where the task scores documents by a function of its own.
        options: of the metric.
    """
    if metric != EXACT or function is None:
        return lambda a, b: repr(a) == repr(b)

    def equal(a: Any, b: Any) -> bool:
        if repr(a) == repr(b):
            return True
        found = function(references=[str(a)], predictions=[str(b)], **options)
        value = found[EXACT] if isinstance(found, Mapping) else found
        return bool(value[0] if isinstance(value, list) else value)

    return equal
