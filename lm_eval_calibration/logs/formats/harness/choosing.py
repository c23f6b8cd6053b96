"""Which reading a file's lines are to be read by: the one that its first lines speak for.

A reading is wrong for a task if the verdicts of many lines contradict it; if those of few do, these lines lie,
and are bad lines. A wrong answer often agrees with a wrong reading, so that right answers weigh by themselves:
under a right reading the most likely option of a line that was counted as right is the answer key's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import NamedTuple, TypeVar

from lm_eval_calibration.logs.formats.harness.line import (
    BadLineError,
    Options,
    asks_options,
    options,
    verdict,
)
from lm_eval_calibration.logs.formats.harness.reading import (
    BY_VERDICT,
    PAIRS_ONLY,
    STATED,
    ContradictionError,
    Reading,
    Sample,
)

FEW = 0.2
"""Of the lines that a reading is for, so many may lie."""
FEW_NORMALISED = 0.01
"""Of `acc_norm`, which a wrong delimiter contradicts in few lines."""
T = TypeVar("T")


class Found(NamedTuple):
    """A reading, and what a reader of the figures must know of how it was chosen."""

    reading: Reading
    notes: tuple[str, ...] = ()


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
        few = against <= max(1, FEW * (self.readable + against)) and against < self.readable
        by_right = self.right >= self.right_against or self.right_against < 2
        wrong_against = self.against - self.right_against
        return few and (by_right or 2 * wrong_against + 3 <= self.chance)

    def stands_normalised(self) -> bool:
        """Whether `acc_norm` bears the options' lengths out."""
        return self.norm_against <= max(1, FEW_NORMALISED * self.readable) and (
            self.norm_against < self.readable
        )


def find_reading(lines: Sequence[tuple[int, Sample]]) -> Found:
    """The reading of a file.

    Args:
        lines: its first ones with their numbers.

    Raises:
        BadLineError: not one line can be read; the message is the first line's.
    """
    samples = [sample for _, sample in lines]
    tallies = {reading: _tally(reading, lines) for reading in _candidates(samples)}
    last = [reading for reading in tallies if reading.gold in (BY_VERDICT, PAIRS_ONLY)]
    unreadable = min(tallies[reading].unreadable for reading in tallies)
    keyed = [reading for reading in tallies if reading not in last]
    for normalised in (True, False):
        same = [reading for reading in keyed if reading.normalised is normalised]
        best = _best(same, tallies)
        if best is None or not tallies[best].stands(unreadable):
            continue
        if not normalised or tallies[best].stands_normalised():
            notes = _no_norm(best, keyed, tallies)
            return Found(_with_evidence(best, tallies[best]), notes)
    best = _best(list(tallies), tallies)
    assert best is not None
    if not tallies[best].readable:
        best.record(samples[0])
    return Found(best, _own_way(best, keyed, tallies, len(lines)))


def _best(readings: Sequence[Reading], tallies: Mapping[Reading, Tally]) -> Reading | None:
    """The one that most lines can be read by; of equals one by their answer key, then the first."""

    def fit(reading: Reading) -> tuple[int, bool, int]:
        tally = tallies[reading]
        return tally.readable, reading.gold != BY_VERDICT, tally.answered

    return max(readings, key=fit, default=None)


def _tally(reading: Reading, lines: Sequence[tuple[int, Sample]]) -> Tally:
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


def _with_evidence(reading: Reading, tally: Tally) -> Reading:
    against = tally.against + tally.norm_against
    if not against:
        return reading
    lines = tally.readable + against
    agree = f" ({tally.readable} of the first {lines} lines agree with themselves)"
    return replace(reading, evidence=agree)


def _no_norm(
    chosen: Reading, keyed: Sequence[Reading], tallies: Mapping[Reading, Tally]
) -> tuple[str, ...]:
    """That `acc_norm` was logged and cannot be followed."""
    best = _best([reading for reading in keyed if reading.normalised], tallies)
    if chosen.normalised or best is None:
        return ()
    number, _ = tallies[best].first or (0, "")
    return (
        f"`acc_norm` does not follow from the log-likelihoods and the options' lengths in "
        f"{tallies[best].norm_against} of the first lines (line {number} is the first): metrics of "
        "length-normalised beliefs cannot be had",
    )


def _own_way(
    chosen: Reading, keyed: Sequence[Reading], tallies: Mapping[Reading, Tally], lines: int
) -> tuple[str, ...]:
    """Why the verdicts are read and not the answer key, where there is one that they contradict."""
    best = _best(keyed, tallies)
    if chosen.gold != BY_VERDICT or best is None or not tallies[best].against:
        return ()
    tally = tallies[best]
    number, what = tally.first or (0, "")
    return (
        f"the verdicts contradict the answer key in {tally.against} of the first {lines} lines, so "
        f"the verdicts are read; the first is line {number}: {what}",
    )


def _candidates(samples: Sequence[Sample]) -> list[Reading]:
    """The readings worth trying, the likeliest first."""
    found = [(sample, o) for sample in samples if (o := _options_if_any(sample))]
    asked = sum(map(asks_options, samples))
    if 2 * max(len(found), asked) < len(samples) or not found:
        stated = any(isinstance(sample.get(STATED), Mapping) for sample in samples)
        return [*([Reading(STATED)] if stated else []), Reading(PAIRS_ONLY)]
    if _mostly(found, lambda line: line[1].in_context):
        golds, delimiters = ["nll", BY_VERDICT], [""]
    else:
        delimiters = _delimiters([o for _, o in found])
        golds = [*_golds(found, delimiters), BY_VERDICT]
    norm = _mostly(found, lambda line: verdict(line[0], "acc_norm") is not None)
    tried = [
        Reading(g, d, n)
        for g in golds
        for n in ([True, False] if norm else [False])
        for d in delimiters
    ]
    return [*tried, Reading(PAIRS_ONLY)]


def _options_if_any(sample: Sample) -> Options | None:
    try:
        return options(sample)
    except BadLineError:
        return None


def _mostly(lines: Sequence[T], holds: Callable[[T], bool]) -> bool:
    """Whether something holds of at least half of the lines."""
    return 2 * sum(map(holds, lines)) >= len(lines)


def _delimiters(found: Sequence[Options]) -> list[str]:
    """The white space that most documents' continuations all start with, and its beginnings."""
    common = Counter(_shared_space(o.texts) for o in found).most_common(1)[0][0]
    return [common[:length] for length in range(len(common), -1, -1)]


def _shared_space(texts: Sequence[str]) -> str:
    spaces = [text[: len(text) - len(text.lstrip())] for text in texts]
    first, last = min(spaces), max(spaces)  # what these two share, all share
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(a for a, _ in shared)


def _golds(found: Sequence[tuple[Sample, Options]], delimiters: Sequence[str]) -> list[str]:
    """Where the right option may be found: by its text first, if most targets are options."""
    are_texts = [
        any(sample["target"] in [t.removeprefix(d) for t in o.texts] for d in delimiters)
        for sample, o in found
    ]
    few = sum(are_texts) < (1 - FEW) * len(are_texts)
    golds = ["index"] if not any(are_texts) else ["index", "text"] if few else ["text", "index"]
    labelled = _mostly(
        found, lambda line: isinstance(d := line[0].get("doc"), Mapping) and "mc2_targets" in d
    )
    return ["labels", *golds] if labelled else golds
