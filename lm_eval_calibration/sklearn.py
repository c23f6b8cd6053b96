"""Calibrators and metrics for scikit-learn: an estimator, and scorers.

from sklearn.model_selection import cross_val_predict, cross_val_score
from lm_eval_calibration.sklearn import Recalibrator, ece_scorer

better = cross_val_predict(Recalibrator("temperature"), probabilities, y, method="predict_proba")
cross_val_score(classifier, X, y, scoring=ece_scorer)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.metrics import make_scorer
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, check_X_y

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.given import as_predictions
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.predictions import Floats, Predictions

Labels = NDArray[Any]


class Recalibrator(ClassifierMixin, TransformerMixin, BaseEstimator):
    """A map from a model's probabilities to better ones, as scikit-learn has estimators.

    Unlike `CalibratedClassifierCV` it is of probabilities, whoever made them: X is (N, K) of K classes. All
    methods of `lm-calib fit` that read no prompts are there, one model of all classes together.

    Args:
        method: a name of `METHODS`, as `temperature`, `platt`, `isotonic`.
        scale: of the numbers in X: `probs`, `log_probs` or `logits`; `None` to have it told from them.
        classes: the labels of the columns; `None` for the sorted labels of y, which must then be K.

    Attributes:
        classes_: (K,) the labels of the columns.
        calibrator_: the fitted `Calibrator`.
        n_features_in_: K.

    >>> import numpy as np
    >>> p = np.array([[0.9, 0.1]] * 4 + [[0.2, 0.8]] * 4)
    >>> better = Recalibrator().fit(p, [0, 0, 0, 1, 1, 1, 1, 0]).predict_proba(p)
    >>> better.shape, bool(np.allclose(better.sum(axis=1), 1))
    ((8, 2), True)
    """

    def __init__(
        self,
        method: str = "temperature",
        scale: str | None = None,
        classes: ArrayLike | None = None,
    ) -> None:
        self.method = method
        self.scale = scale
        self.classes = classes

    def fit(
        self,
        X: ArrayLike,  # noqa: N803 - scikit-learn's name
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> Recalibrator:
        """Fit the map.

        Args:
            X: (N, K) numbers of classes.
            y: (N,) labels.
            sample_weight: (N,) how many documents each stands for.

        Raises:
            InvalidInputError: no such method; numbers that the scale does not have; labels that are not those
                of the columns.
            ValueError: as scikit-learn has it, of NaN, infinite, sparse, empty or one-dimensional X, and of
                targets that are no classes. (Of logits -inf is refused, too: give `probs`.)
        """
        columns, labels = check_X_y(X, y, dtype=np.float64)
        check_classification_targets(labels)
        known = np.unique(labels) if self.classes is None else np.asarray(self.classes)
        if columns.shape[1] != len(known):
            raise invalid("X", f"(N, {len(known)}), a column for each class", columns.shape)
        place = {label: k for k, label in enumerate(known.tolist())}
        if strange := [label for label in labels.tolist() if label not in place]:
            raise invalid("y", f"labels of {known.tolist()}", repr(strange[0]))
        self.classes_: Labels = known
        self.n_features_in_ = columns.shape[1]
        truth = [place[label] for label in labels.tolist()]
        self.calibrator_: Calibrator = fit(
            self.method,
            as_predictions(columns, truth, scale=self.scale),
            sample_weight=sample_weight,
        )
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:  # noqa: N803
        """(N, K) the mapped probabilities."""
        check_is_fitted(self)
        columns = check_array(X, dtype=np.float64)
        if columns.shape[1] != self.n_features_in_:
            raise invalid("X", f"(N, {self.n_features_in_}), as it was fitted", columns.shape)
        unknown = np.zeros(len(columns), dtype=np.intp)  # (what is right plays no part)
        found: Predictions = self.calibrator_.transform(
            as_predictions(columns, unknown, scale=self.scale)
        )
        assert found.probabilities is not None
        return found.probabilities

    def transform(self, X: ArrayLike) -> Floats:  # noqa: N803
        """`predict_proba`, so that another step of a pipeline may follow."""
        return self.predict_proba(X)

    def predict(self, X: ArrayLike) -> Labels:  # noqa: N803
        """(N,) the label of the most probable class."""
        p = self.predict_proba(X)
        found: Labels = self.classes_[p.argmax(axis=1)]
        return found


def metric(name: str, y: ArrayLike, probabilities: ArrayLike) -> float:
    """A calibration metric of a classifier's probabilities.

    Args:
        name: as `evaluate` takes it.
        y: (N,) labels, of which the sorted ones are the columns.
        probabilities: (N, K), or (N,) of the second of two classes.
    """
    p, labels = np.asarray(probabilities, dtype=np.float64), np.asarray(y)
    if p.ndim == 1:
        p = np.column_stack([1 - p, p])
    truth = np.searchsorted(np.unique(labels), labels)
    return evaluate(p, [name], truth=truth, scale="probs", replicates=0)[name].value


def scorer(name: str, higher_is_better: bool = False) -> Any:
    """A metric as scikit-learn's `scoring`; of what is better when lower the negative."""

    def score(y: ArrayLike, probabilities: ArrayLike) -> float:
        return metric(name, y, probabilities)

    score.__name__ = name
    return make_scorer(score, response_method="predict_proba", greater_is_better=higher_is_better)


ece_scorer, smece_scorer = scorer("ece"), scorer("smece")
nll_scorer, brier_scorer = scorer("nll"), scorer("brier")
auroc_scorer = scorer("auroc", higher_is_better=True)
"""Of confidences: whether right answers are surer than wrong ones."""
