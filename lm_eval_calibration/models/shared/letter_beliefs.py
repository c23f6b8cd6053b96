"""What is believed of a document's options by the letters that were read, in orders, thoughts and groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.models.shared.letter_reading import ReadLetters
from lm_eval_calibration.stated import Statement
from lm_eval_calibration.verbal.letters import joined, normalised
from lm_eval_calibration.verbal.parsing import uniform


class ShownOptions(NamedTuple):
    """Options of a document that are shown together, and what is believed of them.

    Attributes:
        document: its number.
        options: their numbers.
        log_probabilities: (S, k) by each thought, normalised; `None` where nothing could be read.
        reads: of all askings.
        asked: the questions.
        preference: (k,) of the letters, by `preferred`; () where they were shown in one order.
    """

    document: int
    options: list[int]
    log_probabilities: NDArray[np.float64] | None
    reads: list[ReadLetters]
    asked: tuple[str, ...]
    preference: tuple[float, ...] = ()

    @property
    def mean(self) -> NDArray[np.float64]:
        """(k,) logarithms of the thoughts' mean probabilities."""
        assert self.log_probabilities is not None
        mean = np.logaddexp.reduce(self.log_probabilities, axis=0)
        return np.asarray(mean - np.log(len(self.log_probabilities)))

    @property
    def known(self) -> bool:
        """Whether anything could be read."""
        return self.log_probabilities is not None


def averaged(
    numbers: list[int], orders: Sequence[tuple[list[int], list[ReadLetters]]]
) -> NDArray[np.float64] | None:
    """(S, k) normalised log-probabilities by thought, of the orders' mean log-probabilities."""
    rows = []
    for thought in range(max(len(reads) for _, reads in orders)):
        values = []
        for order, reads in orders:
            letters = reads[thought].letters
            if letters is not None:
                back = [order.index(number) for number in numbers]
                values.append(normalised(letters.log_probabilities)[back])
        if values:
            rows.append(normalised(np.mean(values, axis=0)))
    return np.array(rows) if rows else None


def preferred(orders: Sequence[list[ReadLetters]]) -> tuple[float, ...]:
    """(k,) what is preferred of letters, whatever stands at them: softmax of their mean log-probabilities.

    () where they were shown in one order, or nothing could be read.
    """
    known = [read.letters for reads in orders for read in reads if read.letters is not None]
    if len(orders) < 2 or not known:
        return ()
    mean = np.mean([normalised(each.log_probabilities) for each in known], axis=0)
    return tuple(np.exp(normalised(mean)).tolist())


def distribution(
    groups: list[ShownOptions], final: ShownOptions | None
) -> NDArray[np.float64] | None:
    """(S, K) log-probabilities of a document's options; `None` where they are not known."""
    if len(groups) == 1:
        return groups[0].log_probabilities
    if final is None or final.log_probabilities is None:
        return None
    return joined([g.options for g in groups], [g.mean for g in groups], final.mean)[None]


def measures(reads: Sequence[ReadLetters]) -> dict[str, float]:
    """What is known of the askings beside probabilities, on average."""
    letters = [read.letters for read in reads if read.letters is not None]
    lengths = [read.length for read in reads if read.length is not None]
    found = {}
    if letters:
        found["label_mass"] = float(np.mean([each.mass for each in letters]))
        found["outside_rate"] = float(
            np.mean([each.outside / len(each.log_probabilities) for each in letters])
        )
    if lengths:
        found["thought_tokens"] = float(np.mean(lengths))
    return found


def statement(
    groups: list[ShownOptions], final: ShownOptions | None, count: int, thought: bool
) -> Statement:
    """Of a document's K options.

    Args:
        groups: in which they were shown.
        final: the groups' winners, if there are several groups.
        count: K.
        thought: whether there was thinking.
    """
    shown = [*groups, *([final] if final else [])]
    reads = [r for each in shown for r in each.reads]
    found = distribution(groups, final)
    notes = tuple(dict.fromkeys(read.why for read in reads if read.why))
    cut = sum(read.cut for read in reads) / len(reads) if thought else None
    asked = tuple(question for each in shown for question in each.asked)
    told: dict[str, Any] = {"cut": cut, "asked": asked, "measures": measures(reads)}
    told["preference"] = groups[0].preference if len(groups) == 1 else ()
    replies = tuple(read.reply for read in reads if read.reply)
    if found is None:
        return Statement(uniform(count), "invalid", notes, replies, **told)
    values = np.exp(found)
    draws = values if len(values) > 1 else None
    status = "repaired" if notes else "valid"
    return Statement(
        tuple(values.mean(axis=0).tolist()), status, notes, replies, draws=draws, **told
    )
