"""Which reading a file's lines are to be read by: the one that its first lines speak for.

What a results file tells decides, where the verdicts do not contradict it. Otherwise a reading is wrong for a
task if the verdicts of many lines contradict it; if those of few do, these lines lie, and are bad lines. A wrong
answer often agrees with a wrong reading, so that right answers weigh by themselves: under a right reading the
most likely option of a line that was counted as right is the answer key's. What two readings differ in, and
nothing in the log tells apart, is withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.candidates import (
    in_context,
    keyed,
    last,
    options_if_any,
)
from lm_eval_calibration.logs.formats.harness.gold import BY_VERDICT, logged_pair
from lm_eval_calibration.logs.formats.harness.line import verdict
from lm_eval_calibration.logs.formats.harness.reading import TOLD, UNTOLD, LineReading
from lm_eval_calibration.logs.formats.harness.tally import Lines, Tally, golds_of, rows_of, tally_of
from lm_eval_calibration.logs.formats.harness.told import ToldByLog
from lm_eval_calibration.logs.run import WITHHELD
from lm_eval_calibration.normalisation import NORMALISATIONS, PLAIN


class Found(NamedTuple):
    """A reading, and what a reader of the figures must know of how it was chosen."""

    reading: LineReading
    notes: tuple[str, ...] = ()


def find_reading(lines: Lines, told: ToldByLog = UNTOLD) -> Found:
    """The reading of a file.

    Args:
        lines: its first ones with their numbers.
        told: what a results file tells of its task.

    Raises:
        BadLineError: not one line can be read; the message is the first line's. Or nothing tells which option
            is right, nor whether the answer was.
    """
    samples = [sample for _, sample in lines]
    tried = _Tried(lines)
    by_key = list(keyed(samples, told))
    without = last(samples, told, by_key)
    every = [*(reading for readings in by_key for reading in readings), *without]
    unreadable = tried.fewest_unreadable(every)
    for readings in by_key:
        for normalised in (True, False):
            same = [reading for reading in readings if bool(reading.norms) is normalised]
            best = tried.best(same)
            if best is None or not tried[best].stands(unreadable):
                continue
            if not normalised or tried[best].stands_normalised():
                notes = _no_norm(best, readings, tried)
                settled = _settled(best, same, tried, told)
                return Found(_with_evidence(settled.reading, tried[best]), notes + settled.notes)
    best = tried.best(every)
    assert best is not None
    if not tried[best].readable:
        best.record(samples[0])
    lost = [reading for reading in every if reading.norms][:1]
    without_norms = tuple(
        f"{_kinds(reading)} cannot be had without an answer key" for reading in lost
    )
    return Found(best, _own_way(best, every[: -len(without)], tried) + without_norms)


class _Tried:
    """Readings and how the lines bear them out, each counted once."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self._tallies: dict[LineReading, Tally] = {}

    def __getitem__(self, reading: LineReading) -> Tally:
        if reading not in self._tallies:
            self._tallies[reading] = tally_of(reading, self.lines)
        return self._tallies[reading]

    def fewest_unreadable(self, readings: Sequence[LineReading]) -> int:
        """How many lines cannot be read by any one of the readings."""
        fewest = len(self.lines)
        for reading in readings:
            fewest = min(fewest, self[reading].unreadable)
            if not fewest:
                break
        return fewest

    def best(self, readings: Sequence[LineReading]) -> LineReading | None:
        """The one that most lines can be read by; of equals one by their answer key, then the first."""

        def fit(reading: LineReading) -> tuple[int, bool, int]:
            tally = self[reading]
            return tally.readable, reading.gold != BY_VERDICT, tally.answered

        return max(readings, key=fit, default=None)


def _settled(
    best: LineReading, same: Sequence[LineReading], tried: _Tried, told: ToldByLog
) -> Found:
    """The best reading, without what it has of its own among equals."""
    equals = [r for r in same if tried[r].readable == tried[best].readable]
    if tried[best].answered:  # (a key that names an option of no line is none)
        equals = [r for r in equals if tried[r].answered]
    if best.gold == TOLD:
        equals = [r for r in equals if r.gold == TOLD]
    if len(equals) > 1 or (best.norms and in_context([sample for _, sample in tried.lines])):
        against = {
            r: sum(rows_of(r, tried.lines, s).against for s in (PLAIN, *r.norms)) for r in equals
        }
        fewest = min(against.values())
        equals = [r for r in equals if against[r] == fewest]
        best = best if best in equals else equals[0]
    notes: tuple[str, ...] = ()
    beside = "its results file does not tell" if told.known else "no results file beside it tells"
    if best.norms and not _lengths_are_sure(best, equals, tried, told):
        notes += (
            f"the log does not say how long each option is without what stands before it, and {beside}: "
            f"{_kinds(best)} are withheld",
        )
        best = replace(best, norms=())
    plain = list(dict.fromkeys(replace(r, norms=()) for r in equals))
    golds = [golds_of(reading, tried.lines) for reading in plain] if len(plain) > 1 else []
    if any(gold != golds[0] for gold in golds):
        _need_verdicts(tried.lines, beside)
        notes += (
            f"the target of a line may be an option's number or its text, the verdicts fit both, and {beside}: "
            "metrics of all options are withheld",
        )
        best = replace(best, sure=False)
    return Found(best, notes)


def _kinds(reading: LineReading) -> str:
    names = " and ".join(f"`{suffix}`" for suffix in reading.norms)
    return f"{WITHHELD} ({names})"


def _lengths_are_sure(
    best: LineReading, equals: Sequence[LineReading], tried: _Tried, told: ToldByLog
) -> bool:
    """Whether the options' lengths are those of the live run, and not one of several possible ones."""
    if told.whole:
        return True
    if len({r.delimiter for r in equals if r.gold == best.gold}) > 1:
        return False
    if not in_context([sample for _, sample in tried.lines]):
        return True
    found = [(sample, o) for _, sample in tried.lines if (o := options_if_any(sample))]
    known = all(
        told.options_of(sample.get("doc")) is not None or o.alone is not None for sample, o in found
    )
    if known or told.bare:
        return True
    rows = [rows_of(best, tried.lines, suffix) for suffix in best.norms]
    return not tried[best].norm_against and all(row.agree and not row.against for row in rows)


def _need_verdicts(lines: Lines, beside: str) -> None:
    """Refuse lines of which neither the right option nor a verdict is known."""
    for number, sample in lines:
        if verdict(sample, "acc") is None and logged_pair(sample) is None:
            raise BadLineError(
                f"line {number} logs no `acc`, its target may be an option's number or its text, and {beside}: "
                "which option is right is not known"
            )


def _with_evidence(reading: LineReading, tally: Tally) -> LineReading:
    against = tally.against + tally.norm_against
    if not against:
        return reading
    lines = tally.readable + against
    agree = f" ({tally.readable} of the first {lines} lines agree with themselves)"
    return replace(reading, evidence=agree)


def _no_norm(
    chosen: LineReading, readings: Sequence[LineReading], tried: _Tried
) -> tuple[str, ...]:
    """That `acc_norm` was logged and cannot be followed."""
    best = tried.best([reading for reading in readings if reading.norms])
    if chosen.norms or best is None:
        return ()
    number, _ = tried[best].first or (0, "")
    verdicts = " and ".join(f"`{NORMALISATIONS[suffix].verdict}`" for suffix in best.norms)
    return (
        f"{verdicts} does not follow from the log-likelihoods and the options' lengths in "
        f"{tried[best].norm_against} of the first lines (line {number} is the first): "
        f"{WITHHELD} cannot be had",
    )


def _own_way(
    chosen: LineReading, readings: Sequence[LineReading], tried: _Tried
) -> tuple[str, ...]:
    """Why the verdicts are read and not the answer key, where there is one that they contradict."""
    best = tried.best(readings)
    if chosen.gold != BY_VERDICT or best is None or not tried[best].against:
        return ()
    tally = tried[best]
    number, what = tally.first or (0, "")
    return (
        f"the verdicts contradict the answer key in {tally.against} of the first {len(tried.lines)} lines, so "
        f"the verdicts are read; the first is line {number}: {what}",
    )
