"""`Predictions`: what a model believed about each document, and what was true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.logits import (
    Bools,
    Floats,
    Gold,
    Ints,
    check_logits,
    flat,
    gold_mask,
    log_softmax,
)
from lm_eval_calibration.ragged import Block, Ragged, blocks, starts_of

__all__ = ["Bools", "Floats", "Gold", "Ints", "Predictions"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """Beliefs about N documents, row by row.

    Build it with `from_options` (multiple choice) or `from_confidences` (one confidence per
    answer); the constructor does not validate.

    Attributes:
        confidence: (N,) probability of the predicted option, or the stated confidence.
        correct: (N,) whether the predicted option is a gold one. Its mean is the harness's `acc`.
        predicted: (N,) index of the predicted option; `None` where only confidences are known.
        options: log-softmax over each document's options, the documents one after another, so
            that a long one costs itself alone; `None` as above. -inf is probability 0.
        golds: which options are right, likewise. A document may have several, or none when the
            data set's answer key points outside the options; `None` as above.
        are_scores: whether `confidence` holds scores of any size, higher for surer answers, and no
            probabilities.
    """

    confidence: Floats
    correct: Bools
    predicted: Ints | None = None
    options: Ragged | None = None
    golds: Ragged | None = None
    are_scores: bool = False

    def __len__(self) -> int:
        return len(self.confidence)

    def __repr__(self) -> str:
        """What matters: how many documents and options, how many right, how sure."""
        if self.are_scores:
            how, sure = (
                "a score each",
                f"scores from {self.confidence.min():g} to {self.confidence.max():g}",
            )
        elif self.num_options is None:
            how, sure = "a confidence each", f"mean confidence {self.confidence.mean():.3f}"
        else:
            few, most = int(self.num_options.min()), int(self.num_options.max())
            how = f"{few} options" if few == most else f"{few} to {most} options"
            sure = f"mean confidence {self.confidence.mean():.3f}"
        return f"Predictions({len(self):,} documents, {how}, accuracy {self.correct.mean():.3f}, {sure})"

    @property
    def num_options(self) -> Ints | None:
        """(N,) how many options each document has; `None` where only confidences are known."""
        return None if self.options is None else self.options.count

    @property
    def log_probabilities(self) -> Floats | None:
        """(N, K) log-softmax over the options, -inf where a document has fewer than K options."""
        return None if self.options is None else self.options.padded(-np.inf)

    @property
    def gold(self) -> Bools | None:
        """(N, K) which options are right; False where a document has fewer than K options."""
        return None if self.golds is None else self.golds.padded(False)

    @property
    def probabilities(self) -> Floats | None:
        """(N, K) softmax over the options; 0 in the padding."""
        return None if self.log_probabilities is None else np.exp(self.log_probabilities)

    def take(self, rows: Ints) -> Predictions:
        """The documents of some rows, in their order."""

        def part(column: Any) -> Any:
            if isinstance(column, Ragged):
                return column.take(rows)
            return None if column is None else column[rows]

        return Predictions(
            part(self.confidence),
            part(self.correct),
            part(self.predicted),
            part(self.options),
            part(self.golds),
            self.are_scores,
        )

    @classmethod
    def from_options(
        cls,
        logits: ArrayLike | Sequence[ArrayLike],
        gold: Sequence[Gold],
    ) -> Predictions:
        """Predictions from the score of every option.

        Args:
            logits: N rows of option log-likelihoods (any additive constant per row is fine).
                Rows may differ in length: ARC has documents with 3, 4 and 5 options.
                -inf means probability 0.
            gold: for each row the index of the right option, or a sequence of indices.

        The prediction is the first option with the largest logit, as the harness's `acc` has it.

        Raises:
            InvalidInputError: a NaN or +inf logit, a document whose options are all -inf, no
                documents at all, or as many gold entries as rows do not exist.

        >>> p = Predictions.from_options([[0.0, 0.0], [2.0, 0.0, -1.0]], [1, 0])
        >>> p.confidence.round(3).tolist(), p.correct.tolist()
        ([0.5, 0.844], [False, True])
        """
        values = flat(logits)
        if len(gold) != len(values):
            raise invalid("gold", f"one entry for each of the {len(values)} documents", len(gold))
        return cls.from_flat(values.values, values.count, gold_mask(gold, values.count))

    @classmethod
    def from_padded(cls, logits: Floats, num_options: Ints, gold: Bools) -> Predictions:
        """Predictions from matrices: what `from_options` makes of its rows first.

        Args:
            logits: (N, K) option log-likelihoods, whatever beyond a document's options.
            num_options: (N,) how many of the K columns are options.
            gold: (N, K) which options are right.

        Raises:
            InvalidInputError: as `from_options`.
        """
        block = Block(slice(None), slice(None), num_options, logits.shape[1])
        return cls.from_flat(block.flat(logits), num_options, block.flat(gold))

    @classmethod
    def from_flat(cls, logits: Floats, num_options: Ints, gold: Bools) -> Predictions:
        """Predictions from all documents' options, one after another.

        Args:
            logits: (T,) option log-likelihoods.
            num_options: (N,) how many of them are each document's, T together.
            gold: (T,) which options are right.

        Raises:
            InvalidInputError: as `from_options`.
        """
        log_probabilities = np.empty(len(logits))
        predicted = np.empty(len(num_options), dtype=np.intp)
        for block in blocks(num_options):
            matrix = block.padded(logits, -np.inf)
            check_logits(matrix, block)
            log_probabilities[block.places] = block.flat(log_softmax(matrix))
            predicted[block.rows] = matrix.argmax(axis=1)
        best = starts_of(num_options)[:-1] + predicted
        return cls(
            confidence=np.exp(log_probabilities[best]),
            correct=gold[best],
            predicted=predicted,
            options=Ragged(log_probabilities, num_options),
            golds=Ragged(gold, num_options),
        )

    @classmethod
    def from_confidences(cls, confidence: ArrayLike, correct: ArrayLike) -> Predictions:
        """Predictions of which only a confidence and the verdict are known.

        Args:
            confidence: (N,) probabilities in [0, 1].
            correct: (N,) booleans, or 0 and 1.

        Raises:
            InvalidInputError: lengths differ, a confidence lies outside [0, 1] or is NaN, a
                verdict is neither 0 nor 1, or there are no rows.
        """
        c = np.asarray(confidence, dtype=np.float64)
        y = np.asarray(correct, dtype=np.float64)
        if c.ndim != 1 or c.shape != y.shape or not c.size:
            raise invalid("confidence", "as long as `correct` and not empty", (c.shape, y.shape))
        if not (c.min() >= 0 and c.max() <= 1):
            raise invalid("confidence", "in [0, 1]", f"values from {c.min()} to {c.max()}")
        if not np.isin(y, (0.0, 1.0)).all():
            raise invalid("correct", "0 or 1 (false or true)", np.unique(y)[:5].tolist())
        return cls(confidence=c, correct=y.astype(bool))

    @classmethod
    def from_scores(cls, scores: ArrayLike, correct: ArrayLike) -> Predictions:
        """Predictions of which only a score and the verdict are known: they rank, and say no probability.

        Args:
            scores: (N,) finite numbers, higher for surer answers.
            correct: (N,) booleans, or 0 and 1.

        Raises:
            InvalidInputError: lengths differ, a score is not finite, a verdict is neither 0 nor 1, or
                there are no rows.

        >>> Predictions.from_scores([-3.5, 12.0], [0, 1]).are_scores
        True
        """
        s = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(s).all():
            raise invalid("scores", "finite", s[~np.isfinite(s)][0])
        ranked = cls.from_confidences(np.zeros(s.shape), correct)
        return replace(ranked, confidence=s, are_scores=True)

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """The documents of several predictions, one after another.

        If one of the parts holds confidences only, so does the result.

        Raises:
            InvalidInputError: some are scores, and others probabilities.

        >>> a = Predictions.from_options([[0.0, 1.0]], [1])
        >>> b = Predictions.from_options([[0.0, 1.0, 2.0]], [0])
        >>> Predictions.concatenate([a, b]).num_options.tolist()
        [2, 3]
        """
        if len(parts) == 1:
            return parts[0]
        if len({p.are_scores for p in parts}) > 1:
            raise invalid("predictions", "all scores, or all probabilities", "some of each")
        confidence = np.concatenate([p.confidence for p in parts])
        correct = np.concatenate([p.correct for p in parts])
        if any(p.options is None for p in parts):
            return cls(confidence, correct, are_scores=parts[0].are_scores)
        return cls(
            confidence=confidence,
            correct=correct,
            predicted=np.concatenate([p.predicted for p in parts]),
            options=_concatenated([p.options for p in parts]),
            golds=_concatenated([p.golds for p in parts]),
        )


def _concatenated(parts: Sequence[Any]) -> Ragged:
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, np.concatenate([part.count for part in parts]))
