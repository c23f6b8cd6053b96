"""`Bags`: responses cut into sentences, as embeddings, with what is known of each response."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Floats, Ints

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Bags:
    """N responses of M sentences in all.

    Attributes:
        sentences: (M, D) embeddings, response after response.
        queries: (N, D) of what each response answers.
        offsets: (N + 1,) where each response's sentences begin, and M.
        labels: (N,) in [0, 1]; NaN where unknown.
        sentence_labels: (M,) 0 or 1; NaN where unknown, which is the rule.
        preceding: (M, D) of the sentences before each one, or `None`.
        documents: (N,) the first 64 bits of the harness's hash of each document.

    Raises:
        InvalidInputError: shapes that do not fit together, a response without sentences, or an
            embedding that is not finite.
    """

    sentences: Vectors
    queries: Vectors
    offsets: Ints
    labels: Floats
    sentence_labels: Floats
    preceding: Vectors | None = None
    documents: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))

    def __post_init__(self) -> None:
        """Refuse what does not fit together."""
        count, total = len(self.queries), len(self.sentences)
        sizes = np.diff(self.offsets)
        if len(self.offsets) != count + 1 or self.offsets[0] != 0 or self.offsets[-1] != total:
            raise invalid("offsets", f"{count + 1} numbers from 0 to {total}", self.offsets)
        if not (sizes > 0).all():
            raise invalid("offsets", "at least one sentence in each response", "one without any")
        for name, rows in (("labels", count), ("sentence_labels", total)):
            if len(getattr(self, name)) != rows:
                raise invalid(name, f"{rows} of them", len(getattr(self, name)))
        for name in ("sentences", "queries", "preceding"):
            vectors = getattr(self, name)
            if vectors is None:
                continue
            if vectors.ndim != 2 or vectors.shape[1] != self.sentences.shape[1]:
                raise invalid(name, f"(..., {self.sentences.shape[-1]})", vectors.shape)
            if not np.isfinite(vectors).all():
                raise invalid(name, "finite", "NaN or infinity")

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def sizes(self) -> Ints:
        """(N,) how many sentences each response has."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> Ints:
        """(M,) the response of each sentence."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def rows_of(self, responses: Ints) -> Ints:
        """The sentences of some responses, in their order."""
        starts, sizes = self.offsets[responses], self.sizes[responses]
        before = np.cumsum(sizes) - sizes
        return np.repeat(starts - before, sizes) + np.arange(sizes.sum())

    def take(self, responses: Ints) -> Bags:
        """Some responses, in their order."""
        rows = self.rows_of(responses)
        return Bags(
            self.sentences[rows],
            self.queries[responses],
            np.r_[0, np.cumsum(self.sizes[responses])],
            self.labels[responses],
            self.sentence_labels[rows],
            None if self.preceding is None else self.preceding[rows],
            self.documents[responses] if len(self.documents) else self.documents,
        )

    @functools.cached_property
    def inputs(self) -> Tensor:
        """(M, 2 D) or (M, 3 D) float32: question, preceding sentences if known, and sentence."""
        parts = [self.queries[self.owner], self.sentences]
        if self.preceding is not None:
            parts.insert(1, self.preceding)
        return torch.from_numpy(np.concatenate(parts, axis=1))

    @functools.cached_property
    def cosine(self) -> Tensor:
        """(M,) of each sentence and its question."""
        s, q = (normalize(torch.from_numpy(v), dim=1) for v in (self.sentences, self.queries))
        return (s * q[torch.from_numpy(self.owner)]).sum(dim=1)

    @functools.cached_property
    def centred(self) -> Tensor:
        """(M, D) unit vectors whose products are Pearson correlations of sentences."""
        s = torch.from_numpy(self.sentences)
        return normalize(s - s.mean(dim=1, keepdim=True), dim=1)


class Pairs(NamedTuple):
    """Preferences between responses of some bags.

    first, second: (P,) numbers of responses; target: (P,) 1 where the second was preferred, 0
    where the first was.
    """

    first: Ints
    second: Ints
    target: Floats

    def among(self, responses: Ints, count: int) -> Pairs:
        """The pairs whose both responses are in `responses` (of `count`), numbered as there."""
        place = np.full(count, -1)
        place[responses] = np.arange(len(responses))
        kept = (place[self.first] >= 0) & (place[self.second] >= 0)
        return Pairs(
            place[self.first[kept]], place[self.second[kept]], np.asarray(self.target)[kept]
        )


@dataclass(frozen=True, eq=False)
class BagMaterial:
    """Bags with what is known of them: labels, or preferences.

    Attributes:
        bags: responses.
        pairs: preferences between them; then their labels are not looked at.
        sentence_labels: (M,) to train on instead of responses' labels, or `None`.
    """

    bags: Bags
    pairs: Pairs | None = None
    sentence_labels: Floats | None = None

    def __len__(self) -> int:
        """How many are stepped through: responses, or pairs."""
        if self.pairs is None or self.sentence_labels is not None:
            return len(self.bags)
        return len(self.pairs.target)

    def part(self, responses: Ints) -> BagMaterial:
        """Some responses, and the pairs among them."""
        pairs = None if self.pairs is None else self.pairs.among(responses, len(self.bags))
        return BagMaterial(self.bags.take(responses), pairs)


@dataclass(frozen=True, eq=False)
class Batch:
    """Some responses as padded tensors.

    Attributes:
        rows: (m,) their sentences, of all bags.
        mask: (B, n) which places hold a sentence.
        cosine: (B, n), correlation: (B, n, n) of the priors; 0 in the padding.
        labels: (B,) of responses; sentence_labels: (B, n), NaN where unknown.
    """

    rows: Tensor
    mask: Tensor
    cosine: Tensor
    correlation: Tensor
    labels: Tensor
    sentence_labels: Tensor

    def padded(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """(B, n, ...) of values (m, ...) of the sentences."""
        return pad(values, self.mask, fill)


def pad(values: Tensor, mask: Tensor, fill: float = 0.0) -> Tensor:
    """(B, n, ...) with the rows of `values` where `mask` holds, and `fill` elsewhere."""
    found = values.new_full((*mask.shape, *values.shape[1:]), fill)
    found[mask] = values
    return found


def mask_of(bags: Bags, responses: Ints) -> Tensor:
    """(B, n) which of n places hold a sentence of each response."""
    sizes = torch.from_numpy(bags.sizes[responses])
    return torch.arange(int(sizes.max())).unsqueeze(0) < sizes.unsqueeze(1)


def batch(
    bags: Bags, responses: Sequence[int] | Ints, sentence_labels: Floats | None = None
) -> Batch:
    """Responses as a batch; `sentence_labels` (M,) stands in for the bags' own."""
    numbers = np.asarray(responses, dtype=np.intp)
    mask = mask_of(bags, numbers)
    rows = torch.from_numpy(bags.rows_of(numbers))
    centred = pad(bags.centred[rows], mask)
    known = bags.sentence_labels if sentence_labels is None else sentence_labels
    of_sentences = torch.from_numpy(np.asarray(known, dtype=np.float32))
    return Batch(
        rows,
        mask,
        pad(bags.cosine[rows], mask),
        centred @ centred.transpose(1, 2),
        torch.from_numpy(bags.labels[numbers].astype(np.float32)),
        pad(of_sentences[rows], mask, float("nan")),
    )
