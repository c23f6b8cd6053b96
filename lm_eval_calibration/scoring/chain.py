"""What is kept of the prefix at hand and of its parents while a plan is gone through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from lm_eval_calibration.scoring.plan import Prefix

State = TypeVar("State")


class Chain(Generic[State]):
    """Keys and values, or a cache, of each prefix that leads to the last one; of others nothing.

    Args:
        start: what comes before any prefix.
        extend: what is kept of a prefix, from what is kept of its parent.
    """

    def __init__(self, start: State, extend: Callable[[Prefix, State], State]) -> None:
        self.start, self.extend = start, extend
        self.kept: list[tuple[Prefix, State]] = []

    def of(self, prefix: Prefix | None) -> State:
        """What is kept of a prefix, computed if it is not yet."""
        if prefix is None:
            return self.start
        while self.kept and not _leads_to(self.kept[-1][0], prefix):
            self.kept.pop()
        if self.kept and self.kept[-1][0] is prefix:
            return self.kept[-1][1]
        found = self.extend(prefix, self.of(prefix.parent))
        self.kept.append((prefix, found))
        return found


def _leads_to(prefix: Prefix, other: Prefix) -> bool:
    """Whether `prefix` is `other` or one of its parents."""
    node: Prefix | None = other
    while node is not None:
        if node is prefix:
            return True
        node = node.parent
    return False
