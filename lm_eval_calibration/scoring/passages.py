"""What is computed in one go, each part for itself: beginnings of contexts, contexts, continuations.

Where a part begins and ends is decided by its own request alone, so that its numbers are the same
whatever else is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lm_eval_calibration.scoring.sequences import Request, Tokens, check

LEAST_BEGINNING = 64
"""A beginning of fewer tokens is read with the rest of its context."""
LOOK_AHEAD = 64
"""Passages that are looked at to fill a gap."""
Beginning = Callable[[Sequence[int]], int]
"""How many tokens of a context are its beginning, such as examples before a question."""


@dataclass(eq=False)
class Passage:
    """Tokens that are read together, after those of its parents.

    Attributes:
        tokens: (n,) of its own; none where a continuation's only token follows its context.
        parent: what comes before.
        requests: numbers of the requests that are answered when it has been read.
        children: how many passages follow it.
        scored: whether it is of a continuation, each of whose tokens is scored.
    """

    tokens: Tokens
    parent: Passage | None = None
    requests: list[int] = field(default_factory=list)
    children: int = 0
    scored: bool = False

    def __post_init__(self) -> None:
        self.start: int = self.parent.end if self.parent else 0
        self.end: int = self.start + len(self.tokens)
        if self.parent:
            self.parent.children += 1

    @property
    def chain(self) -> list[Passage]:
        """Its parents, the first of all first."""
        return [*self.parent.chain, self.parent] if self.parent else []


def no_beginning(context: Sequence[int]) -> int:
    """Contexts are read whole."""
    return 0


def beginning_of(context: Sequence[int], beginning: Beginning) -> int:
    """Where a context's beginning ends; 0 if it is too short, or all there is."""
    split = beginning(context)
    return split if LEAST_BEGINNING <= split < len(context) else 0


def passages_of(
    requests: Sequence[Request], max_length: int, longest: int, beginning: Beginning = no_beginning
) -> list[Passage]:
    """All passages, each after its parents, those that share a beginning together.

    Args:
        requests: too long ones lose tokens at their left end, as the harness cuts them.
        max_length: most tokens that the model reads.
        longest: most tokens of a passage; what is longer is cut at multiples of it.
        beginning: where a context's beginning ends.

    Raises:
        InvalidInputError: an empty context or continuation, or a continuation that is longer than
            the model's inputs.
    """
    check(requests, max_length)
    known: dict[tuple[int, bytes], Passage] = {}
    roots: list[Passage] = []
    below: dict[int, list[Passage]] = {}

    def after(parent: Passage | None, tokens: Tokens, scored: bool = False) -> Passage | None:
        for start in range(0, len(tokens), longest):
            part = tokens[start : start + longest]
            key = (id(parent), part.tobytes())
            if key not in known:
                known[key] = Passage(part, parent)
                (below.setdefault(id(parent), []) if parent else roots).append(known[key])
            parent = known[key]
            parent.scored |= scored
        return parent

    for number, (context, continuation) in enumerate(requests):
        tokens = np.array([*context, *continuation][-(max_length + 1) : -1], dtype=np.int32)
        scored = max(len(tokens) - len(continuation), 0) + 1
        split = beginning_of(tokens[:scored].tolist(), beginning)
        place = after(after(None, tokens[:split]), tokens[split:scored])
        place = after(place, tokens[scored:], True)
        assert place is not None  # (a context has a token)
        place.requests.append(number)
    return list(_in_order(roots, below))


def _in_order(roots: Sequence[Passage], below: dict[int, list[Passage]]) -> Iterator[Passage]:
    stack = list(reversed(roots))
    while stack:
        passage = stack.pop()
        yield passage
        stack += reversed(below.get(id(passage), []))


def passes_of(passages: Sequence[Passage], size: int) -> Iterator[list[Passage]]:
    """Passages for passes of at most `size` tokens, each after its parents or in their pass.

    What no longer fits waits; some that come later may fill the gap.
    """
    left = list(passages)
    done: set[int] = set()
    while left:
        chosen: list[Passage] = []
        waiting: list[Passage] = []
        room = size
        for place, passage in enumerate(left):
            if place > LOOK_AHEAD + len(chosen) or not room:
                waiting += left[place:]
                break
            ready = passage.parent is None or id(passage.parent) in done
            if ready and len(passage.tokens) <= room:
                chosen.append(passage)
                done.add(id(passage))
                room -= len(passage.tokens)
            else:
                waiting.append(passage)
        yield chosen
        left = waiting
