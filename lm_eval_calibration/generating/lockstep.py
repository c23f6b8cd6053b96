"""Texts from a model that keeps a state of its own: rows of equal length, in step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from lm_eval_calibration.generating.budget import affordable
from lm_eval_calibration.generating.choosing import choose, finished
from lm_eval_calibration.generating.contract import Done, Writer
from lm_eval_calibration.generating.prompts import Prompt, prompts_of
from lm_eval_calibration.generating.rows import AskedText, TextRow
from lm_eval_calibration.scoring.branches import Cached, branches, bytes_of, kept
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.continued import Continued
from lm_eval_calibration.scoring.plan import Prefix

DEAD = 8
"""Finished rows are computed along until so large a share of all are: to drop them copies the state."""


class Lockstep(Writer):
    """Samples of a prompt, and prompts of one length, go on from copies of the model's own cache.

    Attributes:
        shares: whether a prompt goes on from a cache of what others begin with too.
    """

    shares = True

    def __init__(self, model: Any, prompt_tokens: int, rows: int | None = None) -> None:
        super().__init__(model, prompt_tokens, rows)
        self.reader = Continued(model, 0, prompt_tokens)

    @torch.inference_mode()
    def write(self, asked: Sequence[AskedText], done: Done) -> None:
        """Write all texts, the longest prompts' first."""
        if asked:
            _Writing(self, asked, done).run()


class Unshared(Lockstep):
    """The same for models that go on from a cache by one token at a time only, as Mamba does."""

    shares = False


class _Writing:
    """One call: the prompts that wait, batch by batch."""

    def __init__(self, writer: Lockstep, asked: Sequence[AskedText], done: Done) -> None:
        self.writer, self.reader, self.asked, self.done = writer, writer.reader, asked, done
        self.longest = max(len(a.prompt) + a.room for a in asked)
        self.waiting = deque(prompts_of(asked, writer.shares))
        self.prefixes: Chain[Cached | None] = Chain(None, self._extended)
        self.rows = 1 if writer.rows is None else writer.rows
        self.measured = False

    def run(self) -> None:
        """Until all are finished."""
        while self.waiting:
            batch = list(self._batch())
            rows = [(prompt, number) for prompt, numbers in batch for number in numbers]
            finished_here: set[int] = set()
            try:
                self._write(batch, finished_here)
                continue
            except (torch.OutOfMemoryError, MemoryError):
                if len(rows) == 1:
                    raise
            self.writer.halved(len(rows))
            self.rows, self.measured = self.writer.rows or 1, True
            for prompt, number in rows:
                if number not in finished_here:
                    prompt.waiting.append(number)
            self.waiting.extendleft(p for p, _ in batch if p.waiting and p not in self.waiting)

    def _batch(self) -> Iterator[tuple[Prompt, list[int]]]:
        """The first prompts of one prefix and length, with as many of their texts as there is room for."""
        first, room, tokens = self.waiting[0], self.rows, 0
        while self.waiting and room:
            prompt = self.waiting[0]
            tokens += len(prompt.rest)
            alike = prompt.prefix is first.prefix and len(prompt.rest) == len(first.rest)
            if prompt is not first and (not alike or tokens > self.writer.prompt_tokens):
                return
            numbers = [prompt.waiting.popleft() for _ in range(min(room, len(prompt.waiting)))]
            room -= len(numbers)
            if not prompt.waiting:
                self.waiting.popleft()
            yield prompt, numbers

    def _write(self, batch: list[tuple[Prompt, list[int]]], done: set[int]) -> None:
        prefix = self.prefixes.of(batch[0][0].prefix)
        tokens = np.stack([prompt.rest for prompt, _ in batch])
        hidden, cached = self.reader.advance(tokens, branches(prefix, [0] * len(batch)))
        self._measure(cached, len(batch))
        owners = [owner for owner, (_, numbers) in enumerate(batch) for _ in numbers]
        rows = [TextRow(number, self.asked[number]) for _, numbers in batch for number in numbers]
        cached = kept(cached, owners)
        choose(rows, self._logits(hidden)[owners])
        alive = self._told(rows, list(range(len(rows))), done)
        while alive:
            if (len(rows) - len(alive)) * DEAD >= len(rows):
                cached = kept(cached, alive)
                rows, alive = [rows[b] for b in alive], list(range(len(alive)))
            last = np.array([[row.new[-1]] for row in rows])
            hidden, cached = self.reader.advance(last, cached)
            choose([rows[b] for b in alive], self._logits(hidden)[alive])
            alive = self._told(rows, alive, done)

    def _told(self, rows: Sequence[TextRow], alive: list[int], done: set[int]) -> list[int]:
        """Tell of finished texts; places of the others."""
        found = {alive[place]: text for place, text in finished([rows[b] for b in alive]).items()}
        for place, text in found.items():
            done.add(rows[place].number)
            self.done(rows[place].number, text)
        return [b for b in alive if b not in found]

    def _logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.reader.head.logits(hidden[:, -1])

    def _extended(self, prefix: Prefix, before: Cached | None) -> Cached:
        return self.reader.advance(prefix.tokens[None], branches(before, [0]))[1]

    def _measure(self, cached: Cached, rows: int) -> None:
        """How many rows there is room for, once it is known what one takes (as if all of it grew)."""
        if not self.measured:
            self.measured = True
            each = bytes_of(cached) // rows * self.longest // max(cached.length, 1)
            self.rows = affordable(each, self.writer.device, self.writer.rows)
