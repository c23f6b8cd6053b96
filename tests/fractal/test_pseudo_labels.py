"""Pseudo-labels against all labelings there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.pseudo_labels import ordered_pseudo_labels, pseudo_labels

P = st.floats(0.001, 0.999)


def likelihood(p: np.ndarray, labels: np.ndarray) -> float:
    return float(np.log(np.where(labels == 1, p, 1 - p)).sum())


def holds(labels: np.ndarray, label: float, kind: str) -> bool:
    if kind == "avg":
        return int(labels.sum()) == int(np.floor(len(labels) * label + 0.5))
    return {"min": labels.min, "max": labels.max}[kind]() == label


@pytest.mark.parametrize("kind", ["min", "max", "avg"])
@settings(max_examples=60, deadline=None)
@given(p=st.lists(P, min_size=1, max_size=12), share=st.floats(0, 1))
def test_no_labeling_is_likelier(kind: str, p: list[float], share: float) -> None:
    values = np.array(p)
    label = share if kind == "avg" else float(share > 0.5)
    found = pseudo_labels(values, label, kind)
    assert holds(found, label, kind)
    every = np.array(list(itertools.product([0, 1], repeat=len(p))))
    best = max(likelihood(values, labels) for labels in every if holds(labels, label, kind))
    assert likelihood(values, found) == pytest.approx(best)


@pytest.mark.parametrize("kind", ["min", "max"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), count=st.integers(1, 5), classes=st.integers(2, 4))
def test_ordered_classes(kind: str, data: st.DataObject, count: int, classes: int) -> None:
    rows = [data.draw(st.lists(P, min_size=classes, max_size=classes)) for _ in range(count)]
    p = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    label = data.draw(st.integers(0, classes - 1))
    found = ordered_pseudo_labels(p, label, kind)
    extreme = {"min": np.min, "max": np.max}[kind]
    assert extreme(found) == label

    def total(labels: np.ndarray) -> float:
        return float(np.log(p[np.arange(count), labels]).sum())

    every = [np.array(labels) for labels in itertools.product(range(classes), repeat=count)]
    best = max(total(labels) for labels in every if extreme(labels) == label)
    assert total(found) == pytest.approx(best)


def test_two_classes_are_the_binary_case() -> None:
    p = np.array([0.9, 0.7, 0.8])
    both = np.stack([1 - p, p], axis=1)
    for label in (0, 1):
        for kind in ("min", "max"):
            assert (
                pseudo_labels(p, label, kind).tolist()
                == ordered_pseudo_labels(both, label, kind).tolist()
            )


def test_sure_sentences() -> None:
    assert pseudo_labels([1.0, 1.0], 0, "min").tolist() == [0, 1]
    assert pseudo_labels([0.0, 0.0], 1, "max").tolist() == [1, 0]
    assert ordered_pseudo_labels([[1.0, 0.0], [1.0, 0.0]], 1, "max").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (([], 1, "min"), "probabilities"),
        (([0.5, 1.2], 1, "min"), "probabilities"),
        (([float("nan")], 1, "min"), "probabilities"),
        (([0.5], 0.5, "min"), "label"),
        (([0.5], 1.5, "avg"), "label"),
        (([0.5], 1, "median"), "aggregate"),
    ],
)
def test_what_cannot_be(arguments: tuple, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        pseudo_labels(*arguments)


def test_classes_that_cannot_be() -> None:
    for arguments in (([0.5], 0, "max"), ([[0.5, 0.5]], 2, "max"), ([[0.5, 0.5]], 0, "avg")):
        with pytest.raises(InvalidInputError):
            ordered_pseudo_labels(*arguments)
