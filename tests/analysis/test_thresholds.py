"""Thresholds between two sets of documents, and a set's own halves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged_lines import line

from lm_eval_calibration import Predictions
from lm_eval_calibration.analysis.thresholds import (
    ANSWERS,
    between,
    classes,
    few_classes,
    halves,
    refuse_shared,
)
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Samples, Scope, read_runs


def predicted(count: int, seed: int, options: int = 3) -> Predictions:
    rng = np.random.default_rng(seed)
    return Predictions.from_options(
        rng.normal(size=(count, options)), rng.integers(options, size=count).tolist()
    )


def samples(p: Predictions, hashes: list[int] | None = None) -> Samples:
    return Samples(
        "run", "toy", Path("none"), p, doc_hash=np.asarray(hashes or [], dtype=np.uint64)
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10_000), st.sampled_from([0.3, 0.5, 0.8, 1.0]))
def test_a_threshold_keeps_its_word_where_it_was_chosen(
    count: int, seed: int, wanted: float
) -> None:
    p = predicted(count, seed)
    for found in between(p, p, [wanted]) + between(p, p, [wanted], ["x", "y", "z"]):
        if found.fitted is not None:
            assert found.fitted.precision >= wanted - 1e-12
        assert found.test == found.fitted or found.fitted is None
    assert [t.accepted for t in between(p, p, [wanted])] == [ANSWERS]


def test_options_must_be_those_of_the_predictions() -> None:
    with pytest.raises(InvalidInputError, match="not on the options no, yes"):
        between(predicted(4, 0), predicted(4, 1), options=["no", "yes"])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=30), st.integers(0, 100))
def test_halves_part_documents_by_hash(hashes: list[int], seed: int) -> None:
    p = predicted(len(hashes), seed)
    found = halves(Scope("run", "toy", (samples(p, hashes),)))
    odd = sum(h % 2 for h in hashes)
    if found is None:
        assert odd in (0, len(hashes))
    else:
        assert [len(half) for half in found] == [len(hashes) - odd, odd]


def test_documents_without_hashes_go_in_turn() -> None:
    found = halves(Scope("run", "toy", (samples(predicted(5, 0)),)))
    assert found is not None and [len(half) for half in found] == [3, 2]


def test_shared_documents_are_refused() -> None:
    one, other = samples(predicted(2, 0), [1, 2]), samples(predicted(2, 1), [2, 3])
    with pytest.raises(InvalidInputError, match=r"1 document\(s\) of `toy` are in both runs"):
        refuse_shared(one, other)


def read(path: Path) -> Samples:
    (run,), _ = read_runs([path])
    (found,) = run.samples.values()
    return found


def test_classes(write: Callable[..., Path]) -> None:
    named = read(write([line(i) for i in range(3)]))
    assert classes(named) == few_classes(named) == ("yes", "no")
    letters = read(write([line(i, texts=["A", "B"]) for i in range(3)]))
    assert classes(letters) == ("A", "B") and few_classes(letters) is None
    differing = read(write([line(0), line(1, texts=["this", "that"])]))
    assert few_classes(differing) is None
    with pytest.raises(InvalidInputError, match="differ from document to document"):
        classes(differing)
    with pytest.raises(InvalidInputError, match="logged confidences alone"):
        classes(samples(Predictions.from_confidences([0.5], [True])))
