"""Passages in passes of one size, of which each attends for itself: the same bits in any company.

Layers that compute tokens one by one have the same shape in every pass, whatever is asked; attention,
which mixes tokens, is computed of each passage alone, in a shape that its own request decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lm_eval_calibration.scoring.company import PassageCompany
from lm_eval_calibration.scoring.contract import Answers, Executor
from lm_eval_calibration.scoring.head import HEAD_ROWS, Head
from lm_eval_calibration.scoring.passage_reader import PassageMemory, PassageReader
from lm_eval_calibration.scoring.passages import (
    Beginning,
    Passage,
    no_beginning,
    passages_of,
    passes_of,
)
from lm_eval_calibration.scoring.sequences import Request


@dataclass
class PassagesApart(Executor[Passage]):
    """Passages in passes of one size, each with its own attention; `batch_tokens` is that size.

    Attributes:
        beginning: where a context's beginning ends, see `passages.Beginning`.
    """

    beginning: Beginning = no_beginning

    def __post_init__(self) -> None:
        self.head = Head(self.model, self.precision, HEAD_ROWS)
        self.reader = PassageReader(self.model, self.batch_tokens)

    def plan(self, requests: Sequence[Request]) -> list[Passage]:
        """Beginnings, contexts and continuations, each after what it follows."""
        return passages_of(requests, self.max_length, self.batch_tokens, self.beginning)

    def batches(self, plan: Sequence[Passage]) -> Iterator[list[Passage]]:
        """What fits a pass."""
        return passes_of(plan, self.batch_tokens)

    def computing(self, requests: Sequence[Request]) -> Callable[[list[Passage]], Answers]:
        """With the keys and values of what is still followed, and its states."""
        memory = PassageMemory()

        def compute(batch: list[Passage]) -> Answers:
            company = self.reader.company(batch, memory.keys_values)
            hidden = self.reader.read(company)
            memory.keep(company, hidden)
            found = self._answers(company, hidden, memory.states, requests)
            memory.forget(batch)
            return found

        return compute

    def _halving(
        self, batch: list[Passage], compute: Callable[[list[Passage]], Answers]
    ) -> Iterator[Answers]:
        """Its size is part of the arithmetic: a pass that memory has no room for fails."""
        yield compute(batch)

    def _answers(
        self,
        company: PassageCompany,
        hidden: Tensor,
        states: dict[int, Tensor],
        requests: Sequence[Request],
    ) -> Answers:
        """Of the requests whose continuations have been read."""
        pool = _Pool(company, hidden, states)
        numbers = [n for passage, _, _ in company.slots for n in passage.requests]
        if not numbers:
            return Answers([], hidden.new_zeros(0), hidden.new_zeros(0), hidden[:0])
        places: list[int] = []
        targets: list[int] = []
        counts: list[int] = []
        for passage, _, _ in company.slots:
            for number in passage.requests:
                continuation = requests[number].continuation
                count = min(len(continuation), passage.end)
                places += pool.places(passage, count)
                targets += continuation[-count:]
                counts.append(count)
        return self.head.answers(pool.states, numbers, np.array(places), np.array(targets), counts)


class _Pool:
    """The states of a pass, and those that were kept of what is before it."""

    def __init__(self, company: PassageCompany, hidden: Tensor, kept: dict[int, Tensor]) -> None:
        self._company, self._kept = company, kept
        self._parts = [hidden]
        self._size = len(hidden)
        self._at: dict[int, int] = {}

    @property
    def states(self) -> Tensor:
        """(N, H) all."""
        return torch.cat(self._parts)

    def places(self, passage: Passage, count: int) -> list[int]:
        """Where the states of its last `count` tokens are, those of its parents included."""
        found: list[int] = []
        for one in reversed([*passage.chain, passage]):
            wanted = min(count - len(found), len(one.tokens))
            stop = self._stop(one) if wanted else 0
            found = [*range(stop - wanted, stop), *found]
        return found

    def _stop(self, passage: Passage) -> int:
        if id(passage) in self._company.here:
            return self._company.here[id(passage)][1]
        if id(passage) not in self._at:
            part = self._kept[id(passage)]
            self._parts.append(part)
            self._size += len(part)
            self._at[id(passage)] = self._size
        return self._at[id(passage)]
