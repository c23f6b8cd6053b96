"""Requests made up for a model: on them it is decided who computes, whatever a run asks for."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lm_eval_calibration.scoring.sequences import Request

SEED = 20261130
BEGINNING = 70
"""Tokens of a beginning that some contexts share."""
CONTEXTS = (9, 40)
"""Tokens of contexts after it; the first stands without it, too."""
CONTINUATIONS = (1, 4)
TRYING = "hf-fast compares its numbers with hf's, on a few requests made up for the model."
REPLY = 6
"""Tokens that are written after a prompt."""


@dataclass(frozen=True)
class MadeUp:
    """Contexts of random tokens, the same for each model of one vocabulary.

    Attributes:
        vocabulary: how many different tokens there are.
        paragraph: tokens at which a beginning ends, if there are any.
        longest: most tokens that the model reads.
        lengths: at which it may begin to compute something else.
    """

    vocabulary: int
    paragraph: Sequence[int]
    longest: int
    lengths: Sequence[int]

    def levels(self, length: int) -> range:
        """On what a request of so many tokens is to be tried: 0, and each length below its own."""
        return range(sum(n < length for n in self.lengths) + 1)

    def requests(self, level: int) -> list[Request]:
        """Of some lengths; from level 1 on of those about a named one."""
        draw = random.Random(SEED + level)
        if level:
            sizes = [self.lengths[level - 1] + n for n in (-1, 1)]
            return [
                Request(self._tokens(draw, n - m), self._tokens(draw, m))
                for n in sizes
                for m in (1, 4)
                if n > m
            ]
        contexts = self._contexts(draw, max(CONTINUATIONS))
        return [Request(c, self._tokens(draw, n)) for c in contexts for n in CONTINUATIONS]

    def prompts(self, level: int) -> list[list[int]]:
        """Of some lengths; from level 1 on such that texts reach a named one, or begin beyond it."""
        draw = random.Random(SEED + level)
        if level:
            named = self.lengths[level - 1]
            sizes = (named - REPLY // 2, named + 1)
            return [self._tokens(draw, n) for n in sizes if 0 < n <= self.longest - REPLY]
        return self._contexts(draw, REPLY)

    def _contexts(self, draw: random.Random, more: int) -> list[list[int]]:
        shared = [*self._tokens(draw, BEGINNING), *self.paragraph]
        contexts = [self._tokens(draw, CONTEXTS[0])]
        contexts += [[*shared, *self._tokens(draw, n)] for n in CONTEXTS]
        return [c for c in contexts if len(c) + more <= self.longest] or contexts[:1]

    def _tokens(self, draw: random.Random, count: int) -> list[int]:
        return [draw.randrange(3, self.vocabulary) for _ in range(count)]


def vocabulary_of(model: Any) -> int:
    """How many tokens a model reads."""
    embeddings: torch.nn.Embedding = model.get_input_embeddings()
    return int(embeddings.weight.shape[0])
