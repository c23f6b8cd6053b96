"""How a file's lines say which option is right, and what is kept of a line that is read so.

The harness logs an answer key as text, so "2" may be an option's index or an option that reads
"2", and a continuation starts with a delimiter whose length is not logged. A results file beside the log
may tell, see `told`. The log also holds the run's own verdicts (`acc`, `acc_norm`). Which reading agrees with
them is found on the first lines, see `choosing`; every line is held against its verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad, shown
from lm_eval_calibration.logs.formats.harness.gold import (
    GOLD_READERS,
    NLL,
    Sample,
    fits_by_length,
    logged_pair,
)
from lm_eval_calibration.logs.formats.harness.line import (
    LoggedOptions,
    asks_options,
    options,
    pair,
    target_indices,
    verdict,
)
from lm_eval_calibration.logs.formats.harness.told import ToldByLog
from lm_eval_calibration.normalisation import NORMALISATIONS
from lm_eval_calibration.stated import FLOOR

PAIRS_ONLY, SCORES_ONLY = "pairs", "scores"
STATED = "stated"
"""Also the field of a line that has them."""
TOLD = "told"
UNTOLD = ToldByLog()
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


class LineRecord(NamedTuple):
    """What is kept of one document.

    scores: log-likelihoods of its options; lengths: theirs, by the suffix of each normalisation that is read;
    gold: which are right; verdict: the run's own `acc`, `None` where not logged.
    """

    scores: list[float]
    lengths: dict[str, list[int]]
    gold: list[bool]
    verdict: bool | None


@dataclass(frozen=True)
class LineReading:
    """How to read a file.

    Attributes:
        gold: where the right option is found, see `GOLD_READERS`; or `TOLD`, where the results file says; or
            `PAIRS_ONLY`, where the lines hold a confidence and a verdict only, `SCORES_ONLY`, a score; or `STATED`, where a model
            stated probabilities of labels.
        delimiter: what stands before each option in its continuation.
        norms: the suffixes of the normalisations whose verdicts (`acc_norm`) the lines say.
        told: what the results file tells.
        own: whether a twin's verdict is held instead of `acc`, which the task decides in a way of its own.
        sure: whether more is known of which option is right than that the verdict follows from it.
        evidence: what speaks for it, for the message about a line that contradicts it.
    """

    gold: str
    delimiter: str = ""
    norms: tuple[str, ...] = ()
    told: ToldByLog = UNTOLD
    own: bool = False
    sure: bool = True
    evidence: str = ""

    @malformed_is_bad
    def record(self, sample: Sample) -> LineRecord:
        """Take one line apart.

        Raises:
            BadLineError: the line cannot be read so, or contradicts its own verdict.
        """
        if self.gold in (PAIRS_ONLY, SCORES_ONLY):
            return _pair_record(sample, self.gold == SCORES_ONLY)
        record = _stated_record(sample) if self.gold == STATED else self._record(sample)
        if record.verdict is not None:
            self._agree("acc", record.verdict, record.scores, record.gold)
        for suffix, lengths in record.lengths.items():
            metric = NORMALISATIONS[suffix].verdict
            right = verdict(sample, metric)
            if right is not None:
                self._agree(metric, right, _per_length(record.scores, lengths), record.gold)
        return record

    def _record(self, sample: Sample) -> LineRecord:
        found = options(sample)
        texts = self._texts(sample, found)
        if self.gold == TOLD:
            gold = self.told.gold_of(sample, texts, found.in_context)
        else:
            gold = GOLD_READERS[self.gold](sample, found, texts)
        counted = found.continuations if self.told.whole else texts
        lengths = {n: list(map(NORMALISATIONS[n].length, counted)) for n in self.norms}
        if self.gold == NLL and len(gold) > 1:
            gold = [i for i in gold if fits_by_length(sample, found.loglikelihoods, lengths, i)][
                :1
            ] or gold[:1]
        right_ones = set(gold)
        mask = [i in right_ones for i in range(len(texts))]
        return LineRecord(found.loglikelihoods, lengths, mask, self._verdict(sample))

    def _texts(self, sample: Sample, found: LoggedOptions) -> list[str]:
        """The options as the task has them: without what stands before them."""
        texts = found.texts
        if found.in_context:
            known = self.told.options_of(sample.get("doc"))
            if known is not None and len(known) == len(texts):
                return known
            if found.alone is None:
                return texts
            texts = found.alone
        if self.told.whole:
            return self.told.bare_options(sample.get("doc"), texts)
        for text in texts if self.norms else ():
            if not text.startswith(self.delimiter):
                raise ContradictionError(
                    "the delimiter",
                    False,
                    f"the option {shown(text)} does not begin with {self.delimiter!r}, as others do",
                )
        return [text.removeprefix(self.delimiter) for text in texts]

    def _verdict(self, sample: Sample) -> bool | None:
        """The run's `acc`; or a twin's, where the task's is a way of its own, or is not there."""
        said = verdict(sample, "acc")
        if said is None or self.own:
            logged = logged_pair(sample)
            return said if logged is None else logged[1]
        return said

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


def _per_length(scores: list[float], lengths: list[int]) -> list[float]:
    """`length_normalised` of one document, to the bit."""
    if not any(lengths):
        return scores
    return [s / n if n else -math.inf for s, n in zip(scores, lengths, strict=True)]


def _pair_record(sample: Sample, score: bool) -> LineRecord:
    """A document of which a confidence, or a score, and a verdict were logged, as a single option."""
    known = None if asks_options(sample) else pair(sample, score=score)
    if known is None:
        options(sample)  # says what the responses are instead
        raise BadLineError("neither log-likelihoods of options nor a (confidence, correct) pair")
    return LineRecord([known[0]], {}, [known[1]], None)


def _stated_record(sample: Sample) -> LineRecord:
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
    return LineRecord(scores, {}, mask, verdict(sample, "acc"))
