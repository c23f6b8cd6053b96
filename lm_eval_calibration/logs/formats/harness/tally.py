"""How the first lines of a file bear a reading out: by their verdicts, and by what a twin logs in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.gold import Sample, logged_pair
from lm_eval_calibration.logs.formats.harness.reading import (
    ContradictionError,
    LineReading,
    LineRecord,
)
from lm_eval_calibration.metrics import proper
from lm_eval_calibration.normalisation import PLAIN
from lm_eval_calibration.predictions import Predictions

MAY_LIE = 0.2
"""Of the lines that a reading is for, so many may lie."""
FEW_NORMALISED = 0.01
"""Of `acc_norm`, which a wrong delimiter contradicts in few lines."""
SAME = 1e-9
"""Relatively, of a twin's logged figures and those that follow from a reading."""
Lines = Sequence[tuple[int, Sample]]


@dataclass
class Tally:
    """How the first lines bear a reading out.

    Attributes:
        readable: lines that can be read so and do not contradict it.
        answered: those of them whose answer key names an option.
        right: those of them that were counted as right.
        chance: of those counted as wrong, how many a wrong reading would call right.
        against: lines whose `acc` contradicts it; right_against: those counted as right.
        norm_against: lines whose `acc_norm` alone does.
        unreadable: lines that cannot be read so at all.
        first: (number of the line, reason) of the first that is not readable.
    """

    readable: int = 0
    answered: int = 0
    right: int = 0
    chance: float = 0.0
    against: int = 0
    right_against: int = 0
    norm_against: int = 0
    unreadable: int = 0
    first: tuple[int, str] | None = None

    def stands(self, unreadable: int) -> bool:
        """Whether few lines speak against the reading, `unreadable` of them being no one's to read."""
        against = self.against + self.unreadable - unreadable
        few = against <= max(1, MAY_LIE * (self.readable + against)) and against < self.readable
        by_right = self.right >= self.right_against or self.right_against < 2
        wrong_against = self.against - self.right_against
        return few and (by_right or 2 * wrong_against + 3 <= self.chance)

    def stands_normalised(self) -> bool:
        """Whether `acc_norm` bears the options' lengths out."""
        return self.norm_against <= max(1, FEW_NORMALISED * self.readable) and (
            self.norm_against < self.readable
        )


def tally_of(reading: LineReading, lines: Lines) -> Tally:
    """How some lines bear a reading out."""
    tally = Tally()
    for number, sample in lines:
        try:
            record = reading.record(sample)
        except BadLineError as error:
            tally.first = tally.first or (number, str(error))
            if not isinstance(error, ContradictionError):
                tally.unreadable += 1
            elif error.metric == "acc":
                tally.against += 1
                tally.right_against += error.right
            else:
                tally.norm_against += 1
        else:
            tally.readable += 1
            tally.answered += any(record.gold)
            tally.right += record.verdict is True
            tally.chance += (record.verdict is False) * sum(record.gold) / len(record.gold)
    return tally


def golds_of(reading: LineReading, lines: Lines) -> list[list[bool] | None]:
    """Which options of each line are right by a reading; `None` where it cannot be read so."""
    found: list[list[bool] | None] = []
    for _, sample in lines:
        try:
            found.append(reading.record(sample).gold)
        except BadLineError:
            found.append(None)
    return found


class Rows(NamedTuple):
    """A twin's logged figures of its documents: how many follow from a reading, and how many do not."""

    agree: int = 0
    against: int = 0


def rows_of(reading: LineReading, lines: Lines, suffix: str = PLAIN) -> Rows:
    """Hold a reading against what a twin logged of each document: its belief, and the right option's.

    Args:
        reading: one by options.
        lines: the first ones with their numbers.
        suffix: of the figures that are held, plain ones or those of a normalisation.
    """
    agree = against = 0
    for _, sample in lines:
        if logged_pair(sample, suffix) is None and not _logs_nll(sample, suffix):
            continue
        try:
            record = reading.record(sample)
        except BadLineError:
            continue
        agrees = _agrees(record, sample, suffix)
        agree += agrees
        against += not agrees
    return Rows(agree, against)


def _logs_nll(sample: Sample, suffix: str) -> bool:
    return isinstance(sample.get("nll" + suffix, ""), float | None)


def _agrees(record: LineRecord, sample: Sample, suffix: str) -> bool:
    """Whether a line's figures follow from what was read of it."""
    logged, nll = logged_pair(sample, suffix), sample.get("nll" + suffix)
    scores = np.asarray(record.scores, dtype=np.float64)
    if suffix:
        scores = length_normalised(scores, record.lengths[suffix])
    p = Predictions.from_flat(scores, np.array([len(scores)]), np.array(record.gold))
    held = []
    if logged is not None:
        held.append(math.isclose(logged[0], float(p.confidence[0]), rel_tol=SAME))
        held.append(logged[1] is bool(p.correct[0]))
    if _logs_nll(sample, suffix):
        own = float(proper.nll_values(np.asarray(p.log_probabilities), np.asarray(p.gold))[0])
        held.append(math.isnan(own) if nll is None else math.isclose(nll, own, abs_tol=SAME))
    return all(held)
