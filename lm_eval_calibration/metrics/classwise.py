"""Classwise ECE: a calibration error of all options, not of the predicted one alone.

Documents whose numbers of options differ too much for a matrix come as `Ragged`: a class that few
documents have then costs as few.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import NUM_BINS, Array, bin_sums, equal_width_bins, number
from lm_eval_calibration.metrics.grouping import Groups, GroupWeights
from lm_eval_calibration.metrics.resampling import SEED
from lm_eval_calibration.ragged import Ragged, blocks, positions

NORMAL_FROM = 8192
"""Documents beyond which the null's sums are drawn as what they then are, jointly normal."""
COVARIANCE = 1 << 24
"""Entries of a covariance that is worth it, unless the documents have as many probabilities."""
_BLOCK = 1 << 22


def classwise_ece(
    probabilities: Array | Ragged,
    gold: Array | Ragged,
    *,
    num_bins: int = NUM_BINS,
    weight: Array | GroupWeights | None = None,
) -> Any:
    """Classwise ECE: the binned error of p(class k) against "k is right", averaged over classes.

    `probabilities` and `gold` are (N, K); NaN in `probabilities` marks an option that a document
    does not have, and such entries take no part. Source: Kull et al., NeurIPS 2019. Classes are
    option positions: for A, B, C, D questions it shows a letter bias that `ece` cannot see.
    """
    checks.bin_number("num_bins", num_bins)
    w = weight if isinstance(weight, GroupWeights) else checks.weights(weight, len(probabilities))
    if isinstance(probabilities, Ragged) or isinstance(gold, Ragged):
        return number(_ragged_errors(probabilities, gold, num_bins, w))
    p, g = checks.options(probabilities, gold)
    classes = zip(p.T, g.T, strict=True)
    return number(np.nanmean([_class_error(*column, num_bins, w) for column in classes], axis=0))


def _class_error(p: Array, right: Array, num_bins: int, weight: Any) -> Array:
    """ECE of one class, () or (B,); NaN where no document (of a replicate) has the option."""
    has = ~np.isnan(p)
    q = np.where(has, p, 0.0)
    sums = bin_sums(equal_width_bins(q, num_bins), np.where(has, q - right, 0.0), num_bins, weight)
    count = bin_sums(np.zeros(len(p), dtype=np.intp), has.astype(np.float64), 1, weight)[..., 0]
    error = np.abs(sums).sum(axis=-1)
    return np.divide(error, count, out=np.full(np.shape(error), np.nan), where=count > 0)


def _ragged_errors(p: Any, gold: Any, num_bins: int, weight: Any) -> Any:
    """Classwise ECE, () or (B,), by the sums of each group of documents that has a class."""
    from scipy.sparse import csr_array

    grouped = isinstance(weight, GroupWeights)
    one_each = Groups(np.arange(len(p)), len(p))
    groups = weight.groups if grouped else one_each
    drawn = weight.weight if grouped else np.ones(len(p)) if weight is None else weight
    option, classes = positions(p.count), int(p.count.max())
    document = np.repeat(groups.of_document, p.count)
    cells = option * num_bins + equal_width_bins(p.values, num_bins)
    excess = csr_array(
        (p.values - gold.values, (cells, document)), (classes * num_bins, groups.total)
    )
    having = csr_array((np.ones(len(option)), (option, document)), (classes, groups.total))

    def errors(w: Array) -> Array:
        sums = np.abs(excess @ w.T).reshape(classes, num_bins, len(w)).sum(axis=1)
        count = having @ w.T
        each = np.divide(sums, count, out=np.full(sums.shape, np.nan), where=count > 0)
        return np.nanmean(each, axis=0)

    rows = np.atleast_2d(drawn)
    step = max(1, _BLOCK // (classes * num_bins))
    found = [errors(rows[i : i + step].astype(np.float64)) for i in range(0, len(rows), step)]
    return np.concatenate(found) if drawn.ndim == 2 else found[0][0]


def classwise_null(
    probabilities: Array | Ragged,
    gold: Array | Ragged,
    *,
    replicates: int,
    num_bins: int = NUM_BINS,
) -> Array:
    """(replicates,) classwise ECE of a model whose gold options are drawn from `probabilities`.

    Only the sum of (p - "k is right") in each bin of each class is needed. Up to `NORMAL_FROM`
    documents the options are drawn; beyond, the sums, from the normal distribution with their
    exact mean, 0, and covariance. `gold` (N, K) is not read.
    """
    checks.bin_number("num_bins", num_bins)
    parts = _matrices(probabilities, gold)
    count = np.zeros(max(map(len, parts)), dtype=np.intp)
    for p in parts:
        count[: len(p)] += (~np.isnan(p)).sum(axis=1)
    seen, rng = count > 0, np.random.default_rng(SEED)
    drawn = [_sums(np.nan_to_num(p), num_bins, replicates, rng) for p in parts]
    errors = np.empty(replicates)
    for i, sums in enumerate(zip(*drawn, strict=True)):
        total = np.zeros((len(count), num_bins))
        for part in sums:
            total[: len(part)] += part
        each = np.abs(total[seen]).sum(axis=1) / count[seen]
        errors[i] = np.cumsum(each)[-1] / len(each)  # (one by one, whatever the number of classes)
    return errors


def _matrices(probabilities: Array | Ragged, gold: Any) -> list[Array]:
    """Probabilities (K, N), in parts of different K where they are ragged; NaN for no option."""
    if isinstance(probabilities, Ragged):
        return [b.padded(probabilities.values, np.nan).T for b in blocks(probabilities.count)]
    return [checks.options(probabilities, gold)[0].T]


def _sums(p: Array, num_bins: int, replicates: int, rng: np.random.Generator) -> Iterator[Array]:
    """For each replicate the (K, bins) sums of (p - drawn), p (K, N)."""
    k, n = p.shape
    bins = equal_width_bins(p, num_bins)
    if n > NORMAL_FROM and (k * num_bins) ** 2 <= max(COVARIANCE, n * k):
        return _normal_sums(p, bins, num_bins, replicates, rng)
    return _drawn_sums(p, bins, num_bins, replicates, rng)


def _drawn_sums(
    p: Array, bins: Array, num_bins: int, replicates: int, rng: np.random.Generator
) -> Iterator[Array]:
    """The sums for a gold option drawn in every document."""
    k, n = p.shape
    cells = bins + np.arange(k)[:, None] * num_bins
    expected = np.bincount(cells.ravel(), p.ravel(), k * num_bins)
    cumulative, documents = np.cumsum(p, axis=0), np.arange(n)
    for _ in range(replicates):
        option = (rng.random(n) * cumulative[-1] >= cumulative).sum(axis=0)
        drawn = np.bincount(cells[option, documents], minlength=k * num_bins)
        yield (expected - drawn).reshape(k, num_bins)


def _normal_sums(
    p: Array, bins: Array, num_bins: int, replicates: int, rng: np.random.Generator
) -> Iterator[Array]:
    """The same sums, drawn from their normal limit.

    A document adds p_k (1 - p_k) to the variance of its bin of class k, and -p_k p_l to the
    covariance with its bin of class l: one two-dimensional histogram for every pair of classes.
    """
    k = len(p)
    covariance = np.zeros((k, num_bins, k, num_bins))
    for i in range(k):
        np.fill_diagonal(covariance[i, :, i], np.bincount(bins[i], p[i], num_bins))
        for j in range(i + 1):
            cells = bins[i] * num_bins + bins[j]
            shared = np.bincount(cells, p[i] * p[j], num_bins**2).reshape(num_bins, num_bins)
            covariance[i, :, j] -= shared
            if j < i:
                covariance[j, :, i] -= shared.T
    size = k * num_bins
    sums = rng.multivariate_normal(
        np.zeros(size), covariance.reshape(size, size), replicates, "ignore", method="eigh"
    )
    return iter(sums.reshape(replicates, k, num_bins))
