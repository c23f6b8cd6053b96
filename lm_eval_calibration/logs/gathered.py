"""What is kept of documents as they are read one by one, whatever the format, and what was left out."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import FileByFile
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, OtherTypeError
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions


class LoggedBelief(NamedTuple):
    """What is kept of a document with options.

    logits: of its options; gold: which are right; predicted: the option that was the answer, `None`
    for the most likely one; document: what it is, for pairing; start: the byte at which it begins.
    """

    logits: Sequence[float]
    gold: tuple[int, ...]
    predicted: int | None
    document: int
    start: int


class LoggedStatement(NamedTuple):
    """What is kept of a document of which a confidence and a verdict are known."""

    confidence: float
    correct: bool
    document: int
    start: int


@dataclass
class Gathered:
    """The documents of a file, while it is read.

    Attributes:
        path: of the file.
        kept: what was read; all of one kind.
        bad: what could not be, as places and reasons.
    """

    path: Path
    kept: list[LoggedBelief | LoggedStatement] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)

    def check(self, skip_bad: bool) -> None:
        """Refuse the file if something in it is bad and may not be left out, or if nothing is left.

        Raises:
            InvalidInputError: with the first bad place.
        """
        if self.bad and not skip_bad:
            place, why = self.bad[0]
            raise InvalidInputError(
                f"{self.path}, {place}: {why}. --skip-bad (in Python `skip_bad=True`) leaves such "
                "documents out and counts them."
            )
        if not self.kept:
            first = f": the first, {self.bad[0][0]}: {self.bad[0][1]}" if self.bad else ""
            raise InvalidInputError(f"{self.path} holds no document that can be read{first}.")

    def notes(self) -> tuple[str, ...]:
        """How much was left out, if something was."""
        if not self.bad:
            return ()
        s = "s" if len(self.bad) > 1 else ""
        place, why = self.bad[0]
        return (f"{len(self.bad):,} document{s} left out, the first of them {place}: {why}",)

    def predictions(self) -> Predictions:
        """Of the documents that were kept."""
        stated = [each for each in self.kept if isinstance(each, LoggedStatement)]
        if stated:
            return Predictions.from_confidences(
                [each.confidence for each in stated], [each.correct for each in stated]
            )
        beliefs = [each for each in self.kept if isinstance(each, LoggedBelief)]
        likely = Predictions.from_options([b.logits for b in beliefs], [b.gold for b in beliefs])
        return _answered(likely, [b.predicted for b in beliefs])

    def samples(
        self, label: str, task: str, format_: str, secrets: frozenset[str], notes: tuple[str, ...]
    ) -> Samples:
        """All of it as a task's samples."""
        return Samples(
            label,
            task,
            self.path,
            self.predictions(),
            doc_hash=np.array([each.document for each in self.kept], dtype=np.uint64),
            offset=np.array([each.start for each in self.kept], dtype=np.int64),
            notes=self.notes() + notes,
            secrets=secrets,
            format=format_,
        )


def _answered(likely: Predictions, answers: Sequence[int | None]) -> Predictions:
    """The same beliefs, of which the answers that were given are judged, likely or not."""
    if likely.options is None or likely.golds is None or likely.predicted is None:
        return likely
    best = likely.predicted.tolist()
    predicted = np.array(
        [b if a is None else a for a, b in zip(answers, best, strict=True)], dtype=np.intp
    )
    ends = np.cumsum(likely.options.count)
    place = ends - likely.options.count + predicted
    return replace(
        likely,
        confidence=np.exp(likely.options.values[place]),
        correct=likely.golds.values[place],
        predicted=predicted,
    )


class TaskFiles(FileByFile):
    """`FileByFile` of which files of another type (`OtherTypeError`) are left out, with the reason."""

    leaves_out = (OtherTypeError,)


def number(value: Any, name: str, most: float = math.inf) -> float:
    """A number that a log holds.

    Raises:
        BadLineError: it is none, NaN, or above `most`.
    """
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not real or math.isnan(value) or value > most or value == math.inf:
        bound = f" of at most {most:g}" if math.isfinite(most) else ""
        raise BadLineError(f"`{name}` must be a number{bound}, got {str(value)[:60]}")
    return float(value)


def document_number(*parts: Any) -> int:
    """64 bits that tell a document from others, by what it says."""
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True)
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)
