"""How a file's lines say which option is right: found on its first lines, checked on all.

The harness logs an answer key as text, so "2" may be an option's index or an option that reads
"2", and a continuation starts with a delimiter whose length is not logged. But it also logs its
own verdict (`acc`, `acc_norm`). The reading that agrees with the verdicts of the first lines is
used for the whole file, and every further line is held against its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.predictions import Predictions, length_normalised
from lm_eval_calibration.samples.line import (
    BadLineError,
    Options,
    malformed_is_bad,
    options,
    pair,
    target_indices,
    verdict,
)
from lm_eval_calibration.stated import FLOOR

Sample = Mapping[str, Any]
PAIRS_ONLY = "pairs"
BY_VERDICT = "verdict"
STATED = "stated"
"""Also the field of a line that has them."""


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
    """

    gold: str
    delimiter: str = ""
    normalised: bool = False

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
        mask = [i in gold for i in range(len(texts))]
        record = Record(found.loglikelihoods, list(map(len, texts)), mask, right, right_norm)
        self.check(record)
        return record

    def check(self, record: Record) -> None:
        """Hold the document against the run's own verdicts."""
        if record.verdict is not None:
            _agree("acc", record.verdict, record.scores, record.gold)
        if record.verdict_norm is not None and self.normalised:
            scores = length_normalised(record.scores, record.lengths).tolist()
            _agree("acc_norm", record.verdict_norm, scores, record.gold)


def _pair_record(sample: Sample) -> Record:
    """A document of which a confidence and a verdict were logged, as a single option."""
    known = pair(sample)
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
        raise BadLineError(f"the target {sample['target']!r} and probabilities {p} are no labels'")
    scores = [math.log(max(value, FLOOR)) for value in p]
    mask = [i in gold for i in range(len(p))]
    return Record(scores, [0] * len(p), mask, verdict(sample, "acc"), None)


def _agree(metric: str, right: bool, scores: list[float], gold: list[bool]) -> None:
    best = scores.index(max(scores))
    if gold[best] is not right:
        is_gold = "is" if gold[best] else "is not"
        raise BadLineError(
            f"the run logged `{metric}` = {int(right)}, but option {best} (from 0), the most likely "
            f"one, {is_gold} the answer key's; the line was changed, or the task scores documents "
            "in a way of its own"
        )


def _by_index(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """The target is an option's number, or a list of them; numbers beyond the options are none."""
    indices = target_indices(sample["target"])
    if indices is None:
        raise BadLineError(f"the target {sample['target']!r} is no option's number")
    return indices


def _by_text(sample: Sample, found: Options, texts: Sequence[str]) -> list[int]:
    """The target is an option's text; any other text is no option."""
    target = sample["target"]
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
            f"the target {sample['target']!r} is neither an option's number nor its text, and the "
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


def find_reading(samples: Sequence[Sample]) -> Reading:
    """The reading under which most of `samples`, a file's first, agree with their verdicts.

    Raises:
        BadLineError: not one line can be read; the message is the first line's.
    """
    fits = {reading: _fit(reading, samples) for reading in _candidates(samples)}
    best = max(fits, key=lambda reading: fits[reading])  # of equals, the first
    if not fits[best][0]:
        best.record(samples[0])
    return best


def _fit(reading: Reading, samples: Sequence[Sample]) -> tuple[int, bool, int]:
    """How many lines can be read so, whether by their answer key, and how many of them have one."""
    readable = answered = 0
    for sample in samples:
        try:
            record = reading.record(sample)
        except BadLineError:
            continue
        readable += 1
        answered += any(record.gold)
    return readable, reading.gold != BY_VERDICT, answered


def _candidates(samples: Sequence[Sample]) -> list[Reading]:
    """The readings worth trying, the likeliest first."""
    found = [(sample, o) for sample in samples if (o := _options_if_any(sample))]
    if not found:
        stated = any(isinstance(sample.get(STATED), Mapping) for sample in samples)
        return [*([Reading(STATED)] if stated else []), Reading(PAIRS_ONLY)]
    sample, first = found[0]
    if first.in_context:
        golds, delimiters = ["nll", BY_VERDICT], [""]
    else:
        delimiters = _delimiters([o for _, o in found])
        golds = [*_golds(found, delimiters), BY_VERDICT]
    norms = [True, False] if verdict(sample, "acc_norm") is not None else [False]
    tried = [Reading(g, d, n) for g in golds for n in norms for d in delimiters]
    return [*tried, Reading(PAIRS_ONLY)]


def _options_if_any(sample: Sample) -> Options | None:
    try:
        return options(sample)
    except BadLineError:
        return None


def _delimiters(found: Sequence[Options]) -> list[str]:
    """The white space that all continuations start with, and its beginnings, longest first."""
    spaces = [text[: len(text) - len(text.lstrip())] for o in found for text in o.texts]
    first, last = min(spaces), max(spaces)  # what these two share, all share
    common = [
        a for a, b in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ]
    return ["".join(common[:length]) for length in range(len(common), -1, -1)]


def _golds(found: Sequence[tuple[Sample, Options]], delimiters: Sequence[str]) -> list[str]:
    """Where the right option may be found: by its text first, if every target is an option."""
    are_texts = [
        any(sample["target"] in [t.removeprefix(d) for t in o.texts] for d in delimiters)
        for sample, o in found
    ]
    golds = (
        ["text", "index"] if all(are_texts) else ["index", "text"] if any(are_texts) else ["index"]
    )
    doc = found[0][0].get("doc")
    return ["labels", *golds] if isinstance(doc, Mapping) and "mc2_targets" in doc else golds
