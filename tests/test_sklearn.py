"""Our calibrators as scikit-learn's estimators, and our metrics as its scorers."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from lm_eval_calibration import evaluate, fit
from lm_eval_calibration.calibrators import METHODS
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.given import as_predictions
from lm_eval_calibration.sklearn import Recalibrator, ece_scorer, metric, nll_scorer

X, Y = make_classification(
    1200, n_features=12, n_informative=4, n_redundant=6, n_classes=3, n_clusters_per_class=1,
    class_sep=0.4, random_state=0,
)  # fmt: skip
NAIVE = GaussianNB().fit(X[:400], Y[:400])
P, TRUTH = NAIVE.predict_proba(X[400:]), Y[400:]
"""Naive Bayes of copied features is far too sure."""


def logarithm(p: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(p, 1e-12))


METHODS_HERE = sorted(set(METHODS) - {"prior"})


@pytest.mark.parametrize("method", METHODS_HERE)
def test_it_is_the_calibrator_of_that_name(method: str) -> None:
    found = Recalibrator(method).fit(P, TRUTH)
    predictions = as_predictions(P, TRUTH)
    assert np.allclose(
        found.predict_proba(P), fit(method, predictions).transform(predictions).probabilities
    )
    assert found.predict_proba(P).shape == (800, 3)
    assert np.allclose(found.predict_proba(P).sum(axis=1), 1)
    assert np.array_equal(found.transform(P), found.predict_proba(P))


def test_held_out_folds_are_better_calibrated() -> None:
    better = cross_val_predict(Recalibrator(), P, TRUTH, method="predict_proba", cv=5)
    was, now = (metric("ece", TRUTH, p) for p in (P, better))
    assert now < 0.6 * was
    assert np.array_equal(better.argmax(axis=1), P.argmax(axis=1))  # a temperature keeps them


def test_parameters_clones_grids_and_pipelines() -> None:
    one = Recalibrator("platt", scale="probs")
    assert clone(one).get_params() == {"method": "platt", "scale": "probs", "classes": None}
    grid = GridSearchCV(Recalibrator(), {"method": ["temperature", "isotonic"]}, scoring=nll_scorer)
    assert grid.fit(P, TRUTH).best_params_["method"] in ("temperature", "isotonic")
    logs = make_pipeline(FunctionTransformer(logarithm), Recalibrator(scale="log_probs"))
    floored = np.maximum(P, 1e-12)
    floored /= floored.sum(axis=1, keepdims=True)
    alone = Recalibrator().fit(floored, TRUTH).predict_proba(floored)
    assert np.allclose(logs.fit(floored, TRUTH).predict_proba(floored), alone, atol=1e-6)
    assert 0.5 < logs.score(P, TRUTH) <= 1


def test_labels_of_any_kind() -> None:
    names = np.array(["cat", "dog", "fox"])
    found = Recalibrator().fit(P, names[TRUTH])
    assert found.classes_.tolist() == names.tolist()
    assert set(found.predict(P)) <= set(names)
    few = TRUTH != 2
    kept = Recalibrator(classes=[0, 1, 2]).fit(P[few], TRUTH[few])
    assert kept.predict_proba(P).shape == (800, 3)


def test_scorers_are_our_metrics() -> None:
    model = LogisticRegression(max_iter=500).fit(X[:400], Y[:400])
    p = model.predict_proba(X[400:])
    wanted = evaluate(p, "ece", truth=TRUTH)["ece"].value
    assert ece_scorer(model, X[400:], TRUTH) == pytest.approx(-wanted)
    assert len(cross_val_score(model, X, Y, scoring=ece_scorer, cv=3)) == 3
    two = TRUTH == 1
    assert metric("brier", two, p[:, 1]) == pytest.approx(2 * np.mean((p[:, 1] - two) ** 2))


def test_beside_scikit_learns_own() -> None:
    theirs = CalibratedClassifierCV(NAIVE, method="isotonic", cv=3).fit(X[400:800], Y[400:800])
    ours = Recalibrator("isotonic").fit(P[:400], TRUTH[:400])
    losses = [
        metric("brier", TRUTH[400:], p)
        for p in (theirs.predict_proba(X[800:]), ours.predict_proba(P[400:]), P[400:])
    ]
    assert max(losses[:2]) < losses[2]


@pytest.mark.parametrize(
    ("arguments", "numbers", "labels", "said"),
    [
        ({"method": "platts"}, P, TRUTH, "Did you mean `platt`"),
        ({}, P[:, :2], TRUTH, r"`X` must be \(N, 3\), a column for each class"),
        ({"classes": [0, 1, 5]}, P, TRUTH, r"`y` must be labels of \[0, 1, 5\], got 2"),
        ({"scale": "probs"}, P + 1, TRUTH, r"must be in \[0, 1\]"),
    ],
)
def test_what_is_refused(arguments: Any, numbers: Any, labels: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        Recalibrator(**arguments).fit(numbers, labels)


def test_before_it_is_fitted() -> None:
    with pytest.raises(NotFittedError):
        Recalibrator().predict_proba(P)


OTHER_COLUMNS = (
    "check_fit_score_takes_y", "check_estimators_overwrite_params", "check_estimators_fit_returns_self",
    "check_readonly_memmap_input", "check_n_features_in_after_fitting", "check_positive_only_tag_during_fit",
    "check_estimators_dtypes", "check_dtype_object", "check_pipeline_consistency", "check_estimators_nan_inf",
    "check_estimators_pickle", "check_classifiers_classes", "check_classifiers_train", "check_supervised_y_2d",
    "check_transformer_data_not_an_array", "check_transformer_general", "check_transformer_preserve_dtypes",
    "check_fit2d_1sample", "check_fit2d_1feature", "check_all_zero_sample_weights_error",
    "check_sample_weight_equivalence_on_dense_data", "check_sample_weights_list",
)  # fmt: skip
"""Checks of scikit-learn with more or fewer columns than classes, which here are the same."""


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_own_checks() -> None:
    estimator_checks = pytest.importorskip("sklearn.utils.estimator_checks")
    if (
        "expected_failed_checks"
        not in inspect.signature(estimator_checks.check_estimator).parameters
    ):
        pytest.skip("scikit-learn before 1.6 cannot be told which checks do not apply")
    why = dict.fromkeys(OTHER_COLUMNS, "columns are classes")
    found = estimator_checks.check_estimator(Recalibrator(), expected_failed_checks=why)
    assert sum(each["status"] == "passed" for each in found) > 30
