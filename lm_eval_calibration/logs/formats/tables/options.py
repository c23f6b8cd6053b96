"""Tables with a number for each option: a column each, or a dictionary in one column."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration import scales as scale
from lm_eval_calibration.logs.formats.tables import gold
from lm_eval_calibration.logs.formats.tables.cells import brief, numbers_in, text_of, texts_of
from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.contract import Bad, Wanted
from lm_eval_calibration.logs.formats.tables.option_names import columns_of, short_names
from lm_eval_calibration.logs.formats.tables.verdicts import Verdicts
from lm_eval_calibration.predictions import Floats, Ints, Predictions
from lm_eval_calibration.ragged import Ragged, starts_of

if TYPE_CHECKING:
    from pandas import DataFrame

Row = tuple[tuple[str, ...], tuple[float, ...]]


class OptionColumns:
    """A number for each option, and which is right."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._options = columns_of(str(columns.options))
        self._gold = columns.gold
        self._verdicts = None if columns.correct is None else Verdicts(columns)
        self._values: list[Floats] = []
        self._count: list[Ints] = []
        self._names: list[gold.Names] = []
        self._golds: list[NDArray[np.object_]] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._notes: list[str] = []
        self._alone = len(self._options) == 1
        self._short = short_names(self._options)
        self.wanted = self._wanted()

    def _wanted(self) -> Wanted:
        known, checked = [], self._verdicts
        if self._gold is not None:
            known.append(self._gold)
        if checked is not None:
            known += checked.needed
        structured = frozenset(self._options) if self._alone else frozenset[str]()
        return Wanted(
            (*self._options, *known), checked.optional if checked is not None else (), structured
        )

    def take(self, block: DataFrame) -> Bad:
        """Keep the rows whose options all have a number."""
        matrix, names, bad = (
            self._of_dictionaries(block) if self._alone else self._of_columns(block)
        )
        count = (~np.isnan(matrix)).sum(axis=1)
        bad |= self._out_of_range(matrix, names, bad)
        good = np.ones(len(block), dtype=bool)
        good[list(bad)] = False
        present = np.arange(matrix.shape[1]) < count[good, None]
        self._values.append(matrix[good][present])
        self._count.append(count[good].astype(np.intp))
        self._names += [each for each, fine in zip(names, good, strict=True) if fine]
        self._numbers.append(block.index.to_numpy()[good])
        if self._gold is not None:
            self._golds.append(texts_of(block[self._gold][good]))
        if self._verdicts is not None:
            self._verdicts.take(block, good)
        return bad

    def _of_columns(self, block: DataFrame) -> tuple[Floats, list[gold.Names], dict[int, str]]:
        """(N, K) numbers, NaN beyond a row's options; the names of these; and what is wrong."""
        read = [numbers_in(block[name]) for name in self._options]
        matrix, empty = (np.stack(part, axis=1) for part in zip(*read, strict=True))
        bad = {
            int(row): f"`{(name := self._options[k])}` must be a number, got "
            f"`{brief(block[name].iloc[row])}`"
            for row, k in np.argwhere(np.isnan(matrix) & ~empty)[::-1]
        }
        gaps = empty[:, :-1] & ~empty[:, 1:]
        for row, k in np.argwhere(gaps)[::-1]:
            bad[int(row)] = (
                f"`{self._options[k]}` is empty, and `{self._options[k + 1]}` is not: only the last "
                "options may be empty"
            )
        for row in np.flatnonzero(empty.all(axis=1)):
            bad[int(row)] = "every option is empty"
        shorter = [self._short[:k] for k in range(len(self._short) + 1)]
        return matrix, [shorter[k] for k in (~empty).sum(axis=1)], bad

    def _of_dictionaries(self, block: DataFrame) -> tuple[Floats, list[gold.Names], dict[int, str]]:
        """The same of one column of dictionaries."""
        column, bad = self._options[0], {}
        rows: list[Row] = []
        for place, cell in enumerate(block[column].tolist()):
            row = _dictionary(cell)
            if row is None:
                bad[place] = (
                    f'`{column}` must hold a number for each option, as {{"A": -0.1, "B": -2.3}}, got '
                    f"`{brief(cell)}`; for a column each write --options 'NAME_{{A..D}}'"
                )
            rows.append(row or (("",), (0.0,)))
        matrix = np.full((len(rows), max(len(names) for names, _ in rows)), np.nan)
        for place, (_, values) in enumerate(rows):
            matrix[place, : len(values)] = values
        return matrix, [names for names, _ in rows], bad

    def _out_of_range(
        self, matrix: Floats, names: list[gold.Names], bad: Mapping[int, str]
    ) -> dict[int, str]:
        """Rows with a number that the scale does not have, or without any hope."""
        must = scale.RANGES[self._columns.scale or "logits"]
        found = {}
        for row, k in np.argwhere(scale.outside(self._columns.scale, matrix))[::-1]:
            if int(row) not in bad:
                found[int(row)] = f"option {names[row][k]} must be {must}, got {matrix[row, k]:g}"
        zero = 0.0 if self._columns.scale == "probs" else -np.inf
        with np.errstate(invalid="ignore"):
            dead = (np.isnan(matrix) | (matrix == zero)).all(axis=1)
        hopeless = {int(row): "every option has probability 0" for row in np.flatnonzero(dead)}
        return {row: why for row, why in (hopeless | found).items() if row not in bad}

    def settle(self, columns: Collection[str]) -> Bad:
        """Decide on the scale, and which options are right."""
        scores = Ragged(np.concatenate(self._values), np.concatenate(self._count))
        bad: dict[int, str] = {}
        if self._verdicts is not None:
            bad |= self._verdicts.settle(columns)
            self._notes += self._verdicts.notes()
        decided = (
            scale.found(scores, np.concatenate(self._numbers))
            if self._columns.scale is None
            else scale.Scale(self._columns.scale)
        )
        self._notes.append(decided.note)
        if decided.scale == "probs":
            self._notes.append(scale.sums_note(scores))
        self._logits = Ragged(scale.logits(decided.scale, scores.values), scores.count)
        if self._gold is None:
            self._notes.append("which option is right is not known, but for the verdict")
            return bad
        return self._settle_gold(self._gold) | bad

    def _settle_gold(self, column: str) -> dict[int, str]:
        texts = np.concatenate(self._golds).tolist()
        found = gold.golds(column, texts, self._names, self._columns.first_gold)
        self._notes.append(found.note)
        self._positions = found.positions
        bad = {
            int(row): gold.why_none(column, texts[row], self._names[row])
            for row in np.flatnonzero(found.positions == gold.NONE)
        }
        fine = np.flatnonzero(found.positions != gold.NONE)
        if len(fine):
            self._notes.append(scale.losses_note(self._logits.take(fine), found.positions[fine]))
        return bad | (self._contradicted(bad) if self._verdicts is not None else {})

    def _contradicted(self, bad: Mapping[int, str]) -> dict[int, str]:
        """Rows whose options and verdict do not go together."""
        assert self._verdicts is not None
        rows = np.setdiff1d(np.arange(len(self._names)), list(bad))
        if not len(rows):
            return {}
        correct = self._of_options(rows).correct
        other = correct != self._verdicts.right(rows)
        return {
            int(
                row
            ): f"`{self._columns.correct}` says that the answer is {'right' if not said else 'wrong'}, "
            f"and by the options and `{self._gold}` it is not"
            for row, said in zip(rows[other], correct[other], strict=True)
        }

    def notes(self) -> tuple[str, ...]:
        """What was decided."""
        return tuple(dict.fromkeys(note for note in self._notes if note))

    def predictions(self, rows: Ints) -> Predictions:
        """The options' beliefs; of a table without right options, the predicted one's and the verdict."""
        if self._gold is not None:
            return self._of_options(rows)
        assert self._verdicts is not None
        confidence = self._of_options(rows).confidence
        return Predictions.from_confidences(confidence, self._verdicts.right(rows))

    def _of_options(self, rows: Ints) -> Predictions:
        """With none of the options right where that is not known."""
        logits = self._logits.take(rows)
        right = np.zeros(len(logits.values), dtype=bool)
        if self._gold is not None:
            right[starts_of(logits.count)[:-1] + self._positions[rows]] = True
        return Predictions.from_flat(logits.values, logits.count, right)


def _dictionary(cell: Any) -> Row | None:
    """Names and numbers of a dictionary or a list, or of a JSON text of one."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError:
            return None
    if isinstance(cell, (list, np.ndarray)):
        cell = {str(k): value for k, value in enumerate(cell)}
    if not isinstance(cell, Mapping):
        return None
    there = {text_of(name): value for name, value in cell.items() if value is not None}
    numbers = [
        float(v)
        for v in there.values()
        if isinstance(v, (int, float, np.number)) and not isinstance(v, bool) and v == v
    ]
    fine = len(numbers) == len(there) and bool(numbers)
    return (tuple(there), tuple(numbers)) if fine else None
