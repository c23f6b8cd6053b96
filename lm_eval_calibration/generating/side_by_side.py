"""Texts from a model that keeps keys and values: a row that is finished makes room for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from lm_eval_calibration.generating.budget import affordable
from lm_eval_calibration.generating.choosing import choose, finished
from lm_eval_calibration.generating.contract import Done, Writer
from lm_eval_calibration.generating.prompts import (
    BegunPrompts,
    Prompt,
    prompts_of,
    root_of,
    together,
)
from lm_eval_calibration.generating.rows import AskedText, TextRow
from lm_eval_calibration.generating.slots import Slots, StepCache, vacate
from lm_eval_calibration.scoring import attention
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.network import KeyValues, Network, len_before

ROWS_WAITED_FOR = 16
"""Begun texts are waited for until so large a share of the rows is free: a pass for each costs more."""


class SideBySide(Writer):
    """Rows of different lengths, for models that keep keys and values.

    Attributes:
        shared: whether rows read what all prompts begin with together.
    """

    shared = False

    def __init__(self, model: Any, prompt_tokens: int, rows: int | None = None) -> None:
        super().__init__(model, prompt_tokens, rows)
        self.network, self.head = Network(model, self.shared), Head(model)

    @torch.inference_mode()
    def write(self, asked: Sequence[AskedText], done: Done) -> None:
        """Write all texts, the longest prompts' first."""
        if asked:
            with attention.implementation(self.network.decoder):
                _Writing(self, asked, done).run()


class SharedSideBySide(SideBySide):
    """The same by the attention of ours, which keeps and reads what all prompts begin with once."""

    shared = True


class _Writing:
    """One call: the prompts that wait, and the rows that are being written, in the first slots."""

    def __init__(self, writer: SideBySide, asked: Sequence[AskedText], done: Done) -> None:
        self.writer, self.asked, self.done = writer, asked, done
        self.network, self.head = writer.network, writer.head
        self.longest = max(len(a.prompt) + a.room for a in asked)
        self.waiting: deque[Prompt] = deque(prompts_of(asked))
        self.prefixes: Chain[KeyValues] = Chain({}, self.network.key_values)
        self.rows: list[TextRow] = []
        self.slots: Slots | None = None
        self.root = self._root()
        self.apart = len_before(self.root)
        self.begun: dict[int, Prompt] = {}

    def _root(self) -> KeyValues:
        """The keys and values that all prompts begin with, if rows may read them together."""
        roots = {root_of(prompt.prefix) for prompt in self.waiting}
        (root,) = roots if len(roots) == 1 else (None,)
        if root is None or not self.network.together(self.longest):
            return {}
        return self.prefixes.of(root)

    def run(self) -> None:
        """Until all are finished."""
        while self.waiting or self.rows:
            try:
                self._admit()
                self._step()
                continue
            except (torch.OutOfMemoryError, MemoryError):
                if self.slots is None or self.slots.count == 1:
                    raise
            self._halve()

    def _admit(self) -> None:
        """Begin texts, where there is room for enough of them."""
        while self.waiting and self._worth:
            prompt = self.waiting[0]
            if prompt.begun is None:
                self._read(list(together(self.waiting, self._free, self.writer.prompt_tokens)))
            self._place(prompt)
            if not prompt.waiting:
                self.waiting.popleft()

    @property
    def _free(self) -> int:
        return 1 if self.slots is None else self.slots.count - len(self.rows)

    @property
    def _worth(self) -> bool:
        """Whether there is room for more than a few rows, or for all that wait."""
        if self.slots is None or not self.rows:
            return True
        enough = max(self.slots.count // ROWS_WAITED_FOR, 1)
        return self._free >= enough or self._free >= sum(len(p.waiting) for p in self.waiting) > 0

    def _read(self, prompts: Sequence[Prompt]) -> None:
        before = self.prefixes.of(prompts[0].prefix)
        hidden, found = self.network.begun([prompt.rest for prompt in prompts], before)
        logits = self.head.logits(hidden)
        for owner, prompt in enumerate(prompts):
            prompt.begun = BegunPrompts(found, owner, logits[owner])

    def _place(self, prompt: Prompt) -> None:
        """Begin as many of a prompt's texts as there is room for."""
        begun = prompt.begun
        assert begun is not None
        if self.slots is None:
            self.slots = Slots(self._affordable(begun.key_values))
        count, first = min(self._free, len(prompt.waiting)), len(self.rows)
        own = slice(self.apart, prompt.length)
        self.slots.put(slice(first, first + count), begun.key_values, begun.owner, own)
        numbers = [prompt.waiting.popleft() for _ in range(count)]
        new = [TextRow(number, self.asked[number]) for number in numbers]
        self.begun |= dict.fromkeys(numbers, prompt)
        self.rows += new
        choose(new, begun.logits.expand(count, -1))
        self._finish(first)

    def _affordable(self, begun: KeyValues) -> int:
        each = sum(t[0, :, 0].numel() * t.element_size() for pair in begun.values() for t in pair)
        most = affordable(each * (self.longest - self.apart), self.network.device, self.writer.rows)
        return min(most, len(self.asked))

    def _step(self) -> None:
        """One more token of each row."""
        if not self.rows:
            return
        assert self.slots is not None
        device = self.network.device
        tokens = torch.tensor([row.new[-1] for row in self.rows], device=device)
        where = torch.tensor([row.read for row in self.rows], device=device)
        width = max(row.read for row in self.rows) + 1 - self.apart
        self.slots.reach(width)
        cache = StepCache(self.slots, where - self.apart, width, self.root)
        hidden = self.network.step(tokens, where, cache, self.apart)
        choose(self.rows, self.head.logits(hidden))
        self._finish(0)

    def _finish(self, first: int) -> None:
        """Tell of finished texts of rows from `first` on; the last rows take their slots."""
        assert self.slots is not None
        done = {first + place: text for place, text in finished(self.rows[first:]).items()}
        told = [(self.rows[place].number, text) for place, text in done.items()]
        vacate(self.rows, self.slots, done, self.apart)
        for number, text in told:
            self.done(number, text)

    def _halve(self) -> None:
        """Begin all rows again, half as many at a time: they come out the same."""
        assert self.slots is not None
        self.writer.halved(self.slots.count)
        for row in self.rows:
            prompt = self.begun[row.number]
            if prompt not in self.waiting:
                self.waiting.appendleft(prompt)
            prompt.waiting.append(row.number)
        self.rows, self.slots = [], None
        for prompt in self.waiting:
            prompt.begun = None
