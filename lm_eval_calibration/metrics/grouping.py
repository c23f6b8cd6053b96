"""A bootstrap of documents at any number of them: beyond `GROUPS` they are drawn in random groups.

A replicate gives every document a weight, which for a million documents and a thousand
replicates is a billion numbers. A metric that needs only sums over documents can do with the sums
over groups of them, put together at random: the sums of independent documents have the same
covariance whether documents are drawn or groups. Up to `GROUPS` documents each is a group, and
this is the plain bootstrap; beyond, the standard error of a sum is itself uncertain by
1 / sqrt(2 GROUPS) = 0.6 %, a quarter of what a thousand replicates leave.

Documents that are not independent, as questions about one passage, are drawn by their clusters.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_calibration.clusters import numbered
from lm_eval_calibration.errors import invalid

Array = NDArray[Any]
GROUPS = 16_384
_BLOCK = 128


class Groups(NamedTuple):
    """The group (N,) in 0..total-1 that each document is in, and how many groups there are."""

    of_document: Array
    total: int


class GroupWeights(NamedTuple):
    """Weights (B, N) of documents in which those of a group share theirs: (B, G), in float32."""

    groups: Groups
    weight: Array

    def bin_sums(self, index: Array, values: Array, num_bins: int) -> Array:
        """(B, num_bins) weighted sum of `values` (N,) in the bins `index` (N,)."""
        cells = self.groups.of_document * num_bins + index
        sums = np.bincount(cells, values, self.groups.total * num_bins).reshape(-1, num_bins)
        blocks = (self.weight[i : i + _BLOCK] for i in range(0, len(self.weight), _BLOCK))
        return np.concatenate([block.astype(np.float64, copy=False) @ sums for block in blocks])


def random_groups(count: int, rng: np.random.Generator, limit: int = GROUPS) -> Groups:
    """`count` documents in at most `limit` groups, of equal size give or take one."""
    if count <= limit:
        return Groups(np.arange(count), count)
    return Groups(rng.permutation(count) % limit, limit)


def clusters_of(labels: ArrayLike | None, count: int) -> Groups | None:
    """Documents grouped by their clusters' labels (N,), in any of which they may be alone; `None` is no label.

    Returns:
        `None` where each is alone: then they are independent.

    Raises:
        InvalidInputError: not one label for each of `count` documents.
    """
    if labels is None:
        return None
    each = np.asarray(labels)
    if each.dtype == object:
        each = numbered([None if label is None else str(label) for label in each.ravel()])
    if each.shape != (count,):
        raise invalid("clusters", f"a label for each of {count} documents", f"shape {each.shape}")
    different, number = np.unique(each, return_inverse=True)
    return None if len(different) == count else Groups(number.reshape(-1), len(different))


def drawn_together(count: int, clusters: Groups | None, rng: np.random.Generator) -> Groups:
    """What is drawn of `count` documents: each, or its cluster; beyond `GROUPS` of them random groups."""
    if clusters is None:
        return random_groups(count, rng)
    merged = random_groups(clusters.total, rng)
    return Groups(merged.of_document[clusters.of_document], merged.total)


def draw_groups(
    groups: Groups, replicates: int, rng: np.random.Generator, imagined: int = 0
) -> Array:
    """(replicates, G + imagined) how often each group is drawn, with replacement, G times in all."""
    among = groups.total + imagined
    weight = np.empty((replicates, among), dtype=np.float32)
    for row in weight:
        row[:] = np.bincount(rng.integers(0, among, groups.total), minlength=among)
    return weight
