"""Texts in steps of one shape, in which each row attends by itself: the same bits in any company.

A step's matrix products are of as many rows as ever, whoever stands in them; prompts are read as
`scoring.apart` reads contexts. So a text hangs on its own prompt, and on nothing that is written beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lm_eval_calibration.generating.budget import affordable
from lm_eval_calibration.generating.choosing import choose, finished
from lm_eval_calibration.generating.contract import Done, Writer
from lm_eval_calibration.generating.rows import AskedText, TextRow, Written
from lm_eval_calibration.generating.slots import Slots, vacate
from lm_eval_calibration.scoring.company import AttendingPart, Company, joined
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.network import KeyValues
from lm_eval_calibration.scoring.passage_reader import PassageMemory, PassageReader
from lm_eval_calibration.scoring.passages import (
    Beginning,
    Passage,
    no_beginning,
    passages_of,
    passes_of,
)
from lm_eval_calibration.scoring.sequences import Request


class RowsApart(Writer):
    """Rows of different lengths, for models that keep keys and values and route no tokens to experts.

    Args:
        model: in evaluation mode.
        prompt_tokens: of a pass in which prompts are read.
        rows: of a step, always as many.
        beginning: where a prompt's beginning ends.
    """

    def __init__(
        self, model: Any, prompt_tokens: int, rows: int, beginning: Beginning = no_beginning
    ) -> None:
        super().__init__(model, prompt_tokens, rows)
        self.reader, self.head = PassageReader(model, prompt_tokens), Head(model, rows=rows)
        self.shape, self.beginning = rows, beginning

    @torch.inference_mode()
    def write(self, asked: Sequence[AskedText], done: Done) -> None:
        """Write all texts; where memory runs out, fewer at a time in steps of the same shape."""
        left = list(range(len(asked)))
        while left:
            rows = min(self.rows or self.shape, self.shape)
            writing = _Writing(self, [asked[n] for n in left], rows)
            try:
                for number, text in writing.run():
                    done(left[number], text)
                return
            except (torch.OutOfMemoryError, MemoryError):
                if rows == 1:
                    raise
            self.halved(rows)
            left = [n for place, n in enumerate(left) if place not in writing.finished]


class _Begun(NamedTuple):
    """A prompt that was read: its texts' numbers, its keys and values, the logits (V,) of what follows it."""

    waiting: deque[int]
    key_values: KeyValues
    logits: Tensor


@dataclass
class _Rows(Company):
    """A step's rows, each after what its slot has.

    Attributes:
        slots: of the keys and values.
        lengths: tokens of each row, the step's own included.
    """

    slots: Slots
    lengths: list[int]

    def __post_init__(self) -> None:
        self._each = torch.arange(len(self.lengths))
        self._last = torch.tensor(self.lengths) - 1

    def keep(self, layer: int, now: Tensor) -> None:
        """The rows' tokens, each at its row's end."""
        for mine, new in zip(self.slots.layers[layer], now, strict=True):
            each, last = self._each.to(mine.device), self._last.to(mine.device)
            mine[each, :, last] = new[0, :, : len(self.lengths)].transpose(0, 1)

    def parts(self, layer: int, now: Tensor) -> Iterator[AttendingPart]:
        """The rows, those of one length that stand together in one go; what a window does not reach is left out."""
        window = self.windows[self.kind(layer)]
        keys, values = self.slots.layers[layer]
        start = 0
        for length, alike in groupby(self.lengths):
            stop = start + sum(1 for _ in alike)
            seen = slice(max(length - window, 0) if window else 0, length)
            own = (keys[start:stop, :, seen], values[start:stop, :, seen])
            yield AttendingPart(stop, [own], None)
            start = stop


class _Writing:
    """One call: prompts that are read ahead, and the rows that are being written, in the first slots."""

    def __init__(self, writer: RowsApart, asked: Sequence[AskedText], rows: int) -> None:
        self.writer, self.asked, self.bound = writer, asked, rows
        self.reader, self.memory = writer.reader, PassageMemory()
        self.longest = max(len(a.prompt) + a.room for a in asked)
        order = sorted(range(len(asked)), key=lambda n: len(asked[n].prompt), reverse=True)
        requests = [Request(asked[n].prompt, [0]) for n in order]
        plan = passages_of(requests, self.longest, writer.prompt_tokens, writer.beginning)
        for passage in plan:
            passage.requests = [order[n] for n in passage.requests]
            passage.children += bool(passage.requests)  # (texts follow it)
        self.passes = passes_of(plan, writer.prompt_tokens)
        self.begun: deque[_Begun] = deque()
        self.rows: list[TextRow] = []
        self.slots: Slots | None = None
        self.finished: set[int] = set()

    def run(self) -> Iterator[tuple[int, Written]]:
        """Each text as it is finished."""
        while True:
            yield from self._admit()
            if not self.rows:
                return
            yield from self._step()

    def _admit(self) -> Iterator[tuple[int, Written]]:
        """Begin texts while there is room."""
        while self._free:
            while not self.begun:
                batch = next(self.passes, None)
                if batch is None:
                    return
                self._read(batch)
            yield from self._place(self.begun[0])
            if not self.begun[0].waiting:
                self.begun.popleft()

    @property
    def _free(self) -> int:
        return 1 if self.slots is None else self.slots.count - len(self.rows)

    def _read(self, batch: Sequence[Passage]) -> None:
        """One pass of prompts; those that end in it can begin."""
        company = self.reader.company(batch, self.memory.keys_values)
        hidden = self.reader.read(company)
        self.memory.keep(company, hidden)
        ends = [stop - 1 for passage, _, stop in company.slots if passage.requests]
        logits = iter(self.writer.head.fixed_logits(hidden[ends])) if ends else iter(())
        for passage in batch:
            if passage.requests:
                found = {
                    layer: joined([kept[id(one)] for one in (*passage.chain, passage)])
                    for layer, kept in self.memory.keys_values.items()
                }
                self.begun.append(_Begun(deque(passage.requests), found, next(logits)))
                self.memory.leave(passage)
        self.memory.forget(batch)

    def _place(self, begun: _Begun) -> Iterator[tuple[int, Written]]:
        """Begin as many of a prompt's texts as there is room for."""
        if self.slots is None:
            self.slots = Slots(self._affordable(begun.key_values))
        count, first = min(self._free, len(begun.waiting)), len(self.rows)
        new = [TextRow(n, self.asked[n]) for n in (begun.waiting.popleft() for _ in range(count))]
        own = slice(0, new[0].read)
        self.slots.put(slice(first, first + count), begun.key_values, 0, own)
        self.rows += new
        choose(new, begun.logits.expand(count, -1))
        yield from self._finish(first)

    def _affordable(self, begun: KeyValues) -> int:
        each = sum(t[0, :, 0].numel() * t.element_size() for pair in begun.values() for t in pair)
        most = affordable(each * self.longest, self.reader.network.device, self.bound)
        return min(most, len(self.asked))

    def _step(self) -> Iterator[tuple[int, Written]]:
        """One more token of each row."""
        assert self.slots is not None
        size = self.writer.shape
        tokens = torch.zeros(size, dtype=torch.long)
        positions = torch.zeros(size, dtype=torch.long)
        tokens[: len(self.rows)] = torch.tensor([row.new[-1] for row in self.rows])
        positions[: len(self.rows)] = torch.tensor([row.read for row in self.rows])
        lengths = [row.read + 1 for row in self.rows]
        self.slots.reach(max(lengths))
        of = self.reader
        company = _Rows(size, of.network.windows, of.kinds, of.attend, self.slots, lengths)
        hidden = of.states(tokens, positions, company)
        choose(self.rows, self.writer.head.logits(hidden)[: len(self.rows)])
        yield from self._finish(0)

    def _finish(self, first: int) -> Iterator[tuple[int, Written]]:
        """Tell of finished texts of rows from `first` on; the last rows take their slots."""
        assert self.slots is not None
        done = {first + place: text for place, text in finished(self.rows[first:]).items()}
        told = [(self.rows[place].number, text) for place, text in done.items()]
        vacate(self.rows, self.slots, done)
        for number, text in told:
            self.finished.add(number)
            yield number, text
