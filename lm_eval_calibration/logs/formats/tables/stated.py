"""Tables with one number for each answer, a confidence or a score, and a verdict."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_calibration.logs.formats.tables.cells import got, numbers_in, numbers_of, text_of
from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.contract import Bad, Wanted
from lm_eval_calibration.logs.formats.tables.verdicts import Verdicts
from lm_eval_calibration.logs.run import AS_SCORES
from lm_eval_calibration.predictions import Floats, Ints, Predictions

if TYPE_CHECKING:
    from pandas import DataFrame


class StatedColumns:
    """A confidence in [0, 1], or a score of any size, and a verdict."""

    def __init__(self, columns: Columns) -> None:
        self._scores = columns.confidence is None
        self._column = str(columns.score if self._scores else columns.confidence)
        self._verdicts = Verdicts(columns)
        self._numbers: list[Floats] = []
        self.wanted = Wanted((self._column, *self._verdicts.needed), self._verdicts.optional)

    def take(self, block: DataFrame) -> Bad:
        """Keep the rows whose number is one."""
        numbers, _ = numbers_in(block[self._column])
        good = np.isfinite(numbers) if self._scores else (numbers >= 0) & (numbers <= 1)
        self._numbers.append(numbers[good])
        self._verdicts.take(block, good)
        must = "a finite number" if self._scores else "in [0, 1]"
        cells = block[self._column].tolist()
        return {
            int(
                row
            ): f"`{self._column}` must be {must}, got {got(cells[row])}{self._hint(cells[row])}"
            for row in np.flatnonzero(~good)
        }

    def _hint(self, cell: object) -> str:
        """What to do about percentages."""
        text = text_of(cell)
        number = numbers_of(np.array([text.removesuffix("%")], dtype=object))[0]
        percent = not self._scores and (text.endswith("%") or 1 < number <= 100)
        return ": if these are percentages, divide them by 100" if percent else ""

    def settle(self, columns: Collection[str]) -> Bad:
        """Decide what a verdict is."""
        return self._verdicts.settle(columns)

    def notes(self) -> tuple[str, ...]:
        """What verdicts are, and that scores are no probabilities."""
        return (*self._verdicts.notes(), *((AS_SCORES,) if self._scores else ()))

    def predictions(self, rows: Ints) -> Predictions:
        """Confidences, or scores, and verdicts."""
        numbers, right = np.concatenate(self._numbers)[rows], self._verdicts.right(rows)
        make = Predictions.from_scores if self._scores else Predictions.from_confidences
        return make(numbers, right)
