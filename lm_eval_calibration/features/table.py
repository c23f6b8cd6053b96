"""`Features`: of each document the hidden state at its last prompt token, and its options' scores."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.logits import widen
from lm_eval_calibration.predictions import Bools, Floats, Ints, Predictions


@dataclass(frozen=True, eq=False)
class Features:
    """What a model made of N documents of one task.

    Attributes:
        task: its name in the harness.
        hidden: (N, H) float32, the last layer's state at the last prompt token.
        logits: (N, K) log-likelihood of each option in nats, -inf beyond a document's options.
        num_options: (N,) how many of the K columns are options.
        gold: (N, K) which options are right.
        documents: (N,) the first 64 bits of the harness's hash of each document.
    """

    task: str
    hidden: NDArray[np.float32]
    logits: Floats
    num_options: Ints
    gold: Bools
    documents: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.documents)

    @functools.cached_property
    def predictions(self) -> Predictions:
        """The beliefs as the model has them.

        Raises:
            InvalidInputError: a log-likelihood is NaN, or all of a document's are -inf.
        """
        return Predictions.from_padded(self.logits, self.num_options, self.gold)

    def take(self, rows: Ints) -> Features:
        """The documents of some rows, in their order."""
        return Features(
            self.task,
            self.hidden[rows],
            self.logits[rows],
            self.num_options[rows],
            self.gold[rows],
            self.documents[rows],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Features]) -> Features:
        """The documents of several parts of one task, one after another."""
        width = max(part.logits.shape[1] for part in parts)
        return cls(
            parts[0].task,
            np.concatenate([part.hidden for part in parts]),
            np.concatenate([widen(part.logits, width, -np.inf) for part in parts]),
            np.concatenate([part.num_options for part in parts]),
            np.concatenate([widen(part.gold, width, False) for part in parts]),
            np.concatenate([part.documents for part in parts]),
        )


def check(features: Features) -> Features:
    """The features, if they are numbers.

    Raises:
        InvalidInputError: a hidden state is NaN or infinite, or a log-likelihood NaN or +infinite,
            with the task and the document.
    """
    bad = ~np.isfinite(features.hidden).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise invalid(
            "hidden",
            "finite",
            f"NaN or infinity in task `{features.task}`, document {features.documents[row]:016x}",
            "float16 overflows in some models: load it in bfloat16 or float32.",
        )
    bad = (np.isnan(features.logits) | (features.logits == np.inf)).any(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise invalid(
            "logits",
            "finite or -inf",
            f"NaN or infinity in task `{features.task}`, document {features.documents[row]:016x}",
        )
    return features
