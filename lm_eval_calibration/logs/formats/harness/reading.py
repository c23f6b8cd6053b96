"""How a file's lines say which option is right, and what is kept of a line that is read so.

The harness logs an answer key as text, so "2" may be an option's index or an option that reads
"2", and a continuation starts with a delimiter whose length is not logged. But it also logs its
own verdict (`acc`, `acc_norm`). Which reading agrees with the verdicts is found on the first lines, see
`choosing`; every line is held against its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.logs.formats.harness.line import (
    BadLineError,
    Options,
    asks_options,
    malformed_is_bad,
    options,
    pair,
    shown,
    target_indices,
    verdict,
)
from lm_eval_calibration.predictions import Predictions, length_normalised
from lm_eval_calibration.stated import FLOOR

Sample = Mapping[str, Any]
PAIRS_ONLY = "pairs"
BY_VERDICT = "verdict"
STATED = "stated"
"""Also the field of a line that has them."""
TIE = 1e-9
"""Scores that differ by less, relatively or in all, are equal but for rounding."""


class ContradictionError(BadLineError):
    """A line whose verdict its own log-likelihoods contradict.

    Attributes:
        metric: the verdict's.
        right: what it says.
    """

    def __init__(self, metric: str, right: bool, message: str) -> None:
        super().__init__(message)
        self.metric, self.right = metric, right

    def __reduce__(self) -> tuple[Any, ...]:
        """How it comes back from another process."""
        return ContradictionError, (self.metric, self.right, str(self))


class Record(NamedTuple):
    """What is kept of one document.

    scores: log-likelihoods of its options; lengths: their characters; gold: which are right;
    verdict, verdict_norm: the run's own `acc` and `acc_norm`, `None` where not logged.
    """

    scores: list[float]
    lengths: list[int]
    gold: list[bool]
    verdict: bool | None
    verdict_norm: bool | None


@dataclass(frozen=True)
class Reading:
    """How to read a file.

    Attributes:
        gold: where the right option is found, see `GOLD_READERS`; or `PAIRS_ONLY`, where the lines
            hold a confidence and a verdict only; or `STATED`, where a model stated probabilities of
            labels.
        delimiter: what stands before each option in its continuation.
        normalised: whether the lines say `acc_norm`.
        evidence: what speaks for it, for the message about a line that contradicts it.
    """

    gold: str
    delimiter: str = ""
    normalised: bool = False
    evidence: str = ""

    @malformed_is_bad
    def record(self, sample: Sample) -> Record:
        """Take one line apart.

        Raises:
            BadLineError: the line cannot be read so, or contradicts its own verdict.
        """
        if self.gold == PAIRS_ONLY:
            return _pair_record(sample)
        if self.gold == STATED:
            record = _stated_record(sample)
            self.check(record)
            return record
        found = options(sample)
        texts = [text.removeprefix(self.delimiter) for text in found.texts]
        right, right_norm = verdict(sample, "acc"), verdict(sample, "acc_norm")
        gold = GOLD_READERS[self.gold](sample, found, texts)
        right_ones = set(gold)
        mask = [i in right_ones for i in range(len(texts))]
        record = Record(found.loglikelihoods, list(map(len, texts)), mask, right, right_norm)
        self.check(record)
        return record

    def check(self, record: Record) -> None:
        """Hold the document against the run's own verdicts."""
        if record.verdict is not None:
            self._agree("acc", record.verdict, record.scores, record.gold)
        if record.verdict_norm is not None and self.normalised:
            scores = length_normalised(record.scores, record.lengths).tolist()
            self._agree("acc_norm", record.verdict_norm, scores, record.gold)

    def _agree(self, metric: str, right: bool, scores: list[float], gold: list[bool]) -> None:
        best = scores.index(max(scores))
        if gold[best] is right or any(
            g is right and math.isclose(score, scores[best], rel_tol=TIE, abs_tol=TIE)
            for g, score in zip(gold, scores, strict=True)
        ):
            return
        is_gold = "is" if gold[best] else "is not"
        raise ContradictionError(
            metric,
            right,
            f"the run logged `{metric}` = {int(right)}, but option {best} (from 0), the most likely "
            f"one, {is_gold} the answer key's, so by its log-likelihoods it is {int(not right)}"
            f"{self.evidence}; the line was changed, or the task scores documents in a way of its own",
        )


def _pair_record(sample: Sample) -> Record:
    """A document of which a confidence and a verdict were logged, as a single option."""
    known = None if asks_options(sample) else pair(sample)
    if known is None:
        options(sample)  # says what the responses are instead
        raise BadLineError("neither log-likelihoods of options nor a (confidence, correct) pair")
    return Record([known[0]], [0], [known[1]], None, None)


def _stated_record(sample: Sample) -> Record:
    """A document of whose labels probabilities were stated, instead of scored."""
    try:
        p = [float(value) for value in sample[STATED]["probabilities"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadLineError(f"no probabilities in `{STATED}` ({error!r})") from None
    gold = target_indices(str(sample["target"]))
    if gold is None or len(p) < 2 or not all(0 <= value <= 1 for value in p):
        raise BadLineError(
            f"the target {shown(sample['target'])} and probabilities {shown(p)} are no labels'"
        )
    scores = [math.log(max(value, FLOOR)) for value in p]
    mask = [i in gold for i in range(len(p))]
    return Record(scores, [0] * len(p), mask, verdict(sample, "acc"), None)


def _by_index(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """The target is an option's number, or a list of them; numbers beyond the options are none."""
    indices = target_indices(sample["target"])
    if indices is None:
        raise BadLineError(f"the target {shown(sample['target'])} is no option's number")
    return indices


def _by_text(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """The target is an option's text; any other text is no option."""
    target = sample["target"]
    if not isinstance(target, str):
        raise BadLineError(f"the target {shown(target)} is no option's text")
    return [texts.index(target)] if target in texts else []


def _by_labels(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """TruthfulQA's mc2: the document labels each of its options true or false."""
    try:
        labels = sample["doc"]["mc2_targets"]["labels"]
    except (KeyError, TypeError):
        labels = ()
    if len(labels) != len(texts):
        raise BadLineError("the document has no label for each option in `mc2_targets`")
    return [i for i, label in enumerate(labels) if label == 1]


def _by_verdict(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """The run's `acc` alone: a right answer is gold, and of two options the other one otherwise."""
    right = verdict(sample, "acc")
    if right is None:
        raise BadLineError(
            f"the target {shown(sample['target'])} is neither an option's number nor its text, and the "
            "run logged no `acc` of 0 or 1: which option is right is not known"
        )
    best = found.loglikelihoods.index(max(found.loglikelihoods))
    if right:
        return [best]
    return [1 - best] if len(texts) == 2 else []


def _by_nll(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """A twin logs the right option's negative log-probability: the option that has it is right."""
    nll = sample.get("nll")
    if not isinstance(nll, float):
        raise BadLineError("no field `nll`, by which the right option could be told")
    p = Predictions.from_options([found.loglikelihoods], [[]])
    surprise = -np.asarray(p.log_probabilities)[0]
    return [int(np.abs(surprise - nll).argmin())]


GOLD_READERS: dict[str, Callable[[Sample, Options, Sequence[str]], list[int]]] = {
    "index": _by_index,
    "text": _by_text,
    "labels": _by_labels,
    "nll": _by_nll,
    BY_VERDICT: _by_verdict,
}
