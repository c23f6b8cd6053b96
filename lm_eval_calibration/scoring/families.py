"""Which inputs are computed side by side where each goes on from a cache: families of one prefix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lm_eval_calibration.scoring.plan import PlannedRow, Prefix, of_a_length


class ModelFamily(NamedTuple):
    """A prefix and the rows, of one input each, that follow it."""

    prefix: Prefix
    rows: list[PlannedRow]

    @property
    def least(self) -> int:
        """Tokens of the prefix and of its rows."""
        return len(self.prefix.tokens) + sum(map(len, self.rows))

    def cost(self, length: int) -> int:
        """Tokens that are computed if so many of the prefix's are computed once."""
        return self.least + (len(self.rows) - 1) * (len(self.prefix.tokens) - length)


def batches(
    plan: Sequence[PlannedRow], tokens: Callable[[], int], spare: int
) -> Iterator[list[PlannedRow]]:
    """Rows of one prefix, or of none; or whole families of siblings.

    A prefix without children of its own, whose rows are few, is computed beside its siblings, of
    each as many tokens as the shortest has.

    Args:
        plan: rows of one input each.
        tokens: of a batch at most, but one row or family at least.
        spare: tokens that may be padding or computed twice, as many as a further pass costs.
    """
    rows: dict[Prefix | None, list[PlannedRow]] = {}
    for row in plan:
        rows.setdefault(row.prefix, []).append(row)
    parents = {prefix.parent for prefix in rows if prefix}
    siblings: dict[Prefix | None, list[ModelFamily]] = {}
    for prefix, own in rows.items():
        family = None if prefix is None or prefix in parents else ModelFamily(prefix, own)
        if family is not None and 2 * family.least <= tokens():
            siblings.setdefault(family.prefix.parent, []).append(family)
        else:
            yield from of_a_length(own, len, tokens, lambda _: spare)
    for families in siblings.values():
        yield from _together(families, tokens, spare)


def _together(
    families: list[ModelFamily], tokens: Callable[[], int], spare: int
) -> Iterator[list[PlannedRow]]:
    """The longest prefixes first."""
    batch: list[ModelFamily] = []
    for family in sorted(families, key=lambda f: len(f.prefix.tokens), reverse=True):
        joined = [*batch, family]
        cost = sum(member.cost(len(family.prefix.tokens)) for member in joined)
        least = sum(member.least for member in joined)
        if batch and (cost > tokens() or cost > least + spare):
            yield [row for member in batch for row in member.rows]
            joined = [family]
        batch = joined
    yield [row for member in batch for row in member.rows]
