"""Texts from a model that keeps a state of its own, in steps of one shape: the same bits in any company."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from lm_eval_calibration.generating.choosing import choose, finished
from lm_eval_calibration.generating.contract import Done, Writer
from lm_eval_calibration.generating.prompts import Prompt, prompts_apart
from lm_eval_calibration.generating.rows import AskedText, TextRow
from lm_eval_calibration.scoring.branches import Cached, branches
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.continued import Continued
from lm_eval_calibration.scoring.passages import Beginning, no_beginning
from lm_eval_calibration.scoring.plan import Prefix

SAMPLES = 4
"""Samples of a prompt that are drawn side by side, always so many."""


class LockstepApart(Writer):
    """Samples of a prompt go on side by side from its cache, always as many; a greedy text goes on alone.

    Args:
        model: in evaluation mode.
        prompt_tokens: of prompts; nothing hangs on it.
        rows: nothing hangs on it either.
        beginning: where a prompt's beginning ends, which is read once for all that have it.
    """

    samples: ClassVar[int] = SAMPLES
    """Of a prompt side by side."""
    goes_on: ClassVar[bool] = True
    """Whether several tokens at a time may follow a cache."""

    def __init__(
        self,
        model: Any,
        prompt_tokens: int,
        rows: int | None = None,
        beginning: Beginning = no_beginning,
    ) -> None:
        super().__init__(model, prompt_tokens, rows)
        self.reader = Continued(model, 0, prompt_tokens)
        self.beginning = beginning if self.goes_on else no_beginning

    @torch.inference_mode()
    def write(self, asked: Sequence[AskedText], done: Done) -> None:
        """Write all texts, prompt by prompt."""
        begun: Chain[Cached | None] = Chain(None, self._extended)
        for prompt in prompts_apart(asked, self.beginning):
            cached = begun.of(prompt.prefix)
            state, cache = self.reader.advance(prompt.rest[None], branches(cached, [0]))
            for width, numbers in self._groups(prompt, asked):
                rows = [TextRow(n, asked[n]) for n in numbers]
                self._write(rows, width, state[:, -1], cache, done)

    def _groups(self, prompt: Prompt, asked: Sequence[AskedText]) -> list[tuple[int, list[int]]]:
        """Which of a prompt's texts are written together, in so many rows."""
        found: dict[int, list[int]] = {1: [], self.samples: []}
        for number in prompt.waiting:
            found[self.samples if asked[number].decoding.sampled else 1].append(number)
        return [
            (width, numbers[start : start + width])
            for width, numbers in found.items()
            for start in range(0, len(numbers), width)
        ]

    def _write(
        self, rows: list[TextRow], width: int, state: torch.Tensor, before: Cached, done: Done
    ) -> None:
        """Some texts of one prompt, whose last state (1, H) and cache are given."""
        logits = self.reader.head.logits(state).expand(len(rows), -1)
        cached = branches(before, [0] * width)
        alive = rows
        while True:
            choose(alive, logits)
            ended = finished(alive)
            for place, text in ended.items():
                done(alive[place].number, text)
            alive = [row for place, row in enumerate(alive) if place not in ended]
            if not alive:
                return
            states, cached = self.reader.advance(_last(rows, width), cached)
            places = [place for place, row in enumerate(rows) if row in alive]
            logits = self.reader.head.logits(states[:, -1])[places]

    def _extended(self, prefix: Prefix, before: Cached | None) -> Cached:
        return self.reader.advance(prefix.tokens[None], branches(before, [0]))[1]


class UnbegunApart(LockstepApart):
    """The same for models that go on from a cache by one token at a time only, as Mamba does."""

    goes_on = False


class TextsAlone(LockstepApart):
    """Each text by itself: for models in which tokens are computed by how many are routed alike."""

    samples = 1


class UnbegunAlone(TextsAlone):
    """The same, of prompts that are read whole."""

    goes_on = False


def _last(rows: Sequence[TextRow], width: int) -> NDArray[np.int64]:
    """(B, 1) the tokens that were chosen last; rows that nobody asked for repeat one."""
    tokens = np.zeros((width, 1), dtype=np.int64)
    tokens[: len(rows), 0] = [row.new[-1] for row in rows]
    return tokens
