"""Documents that runs have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.analysis.document_pairing import match, pair_rows
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.predictions import Predictions

few = settings(derandomize=True, deadline=None, max_examples=60)
HASHES = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def samples(hashes: list[int], run: str = "a", task: str = "toy") -> Samples:
    """Documents whose confidence tells which row they are."""
    n = len(hashes)
    predictions = Predictions.from_confidences(np.arange(n) / n, [1] * n)
    return Samples(run, task, Path("x"), predictions, {}, np.array(hashes, np.uint64),
                   np.arange(n))  # fmt: skip


def run(label: str, **tasks: list[int]) -> Run:
    return Run(label, {task: samples(hashes, label, task) for task, hashes in tasks.items()})


@given(HASHES, HASHES)
@few
def test_pairs_have_equal_hashes_and_none_is_forgotten(a: list[int], b: list[int]) -> None:
    (rows_a, rows_b), (missing_a, missing_b) = pair_rows([samples(a), samples(b)])
    assert [a[i] for i in rows_a] == [b[i] for i in rows_b]
    assert rows_a.tolist() == sorted(rows_a.tolist())
    assert len(set(rows_b.tolist())) == len(rows_b)
    common = sum(min(a.count(h), b.count(h)) for h in set(a))
    assert len(rows_a) == common
    assert (missing_a, missing_b) == (len(a) - common, len(b) - common)


@given(HASHES, st.randoms(use_true_random=False))
@few
def test_any_order_of_the_other_run_pairs_all(a: list[int], random: object) -> None:
    b = list(a)
    random.shuffle(b)  # type: ignore[attr-defined]
    pairing = pair_rows([samples(a), samples(b)])
    assert pairing.missing == [0, 0]
    assert pairing.rows[0].tolist() == list(range(len(a)))


def test_equal_documents_are_paired_in_order_of_standing() -> None:
    rows = pair_rows([samples([5, 5, 1]), samples([1, 5, 5])]).rows
    assert [r.tolist() for r in rows] == [[0, 1, 2], [1, 2, 0]]


def test_matched_runs_have_the_same_rows() -> None:
    first, second = run("a", toy=[3, 1, 2], only=[1]), run("b", calib_toy=[2, 3, 9])
    with pytest.raises(InvalidInputError) as caught:
        match([first, second])
    for part in (
        "Not all documents match: a: task only is not in all runs",
        "a: 1 of the 3 documents of toy are not in all runs",
        "b: 1 of the 3 documents of calib_toy are not in all runs",
        "--allow-partial",
    ):
        assert part in str(caught.value)
    matched = match([first, second], allow_partial=True)
    a, b = (m.samples["toy"] for m in matched.runs)
    assert a.doc_hash.tolist() == b.doc_hash.tolist() == [3, 2]
    assert a.predictions.confidence.tolist() == pytest.approx([0, 2 / 3])
    assert b.predictions.confidence.tolist() == pytest.approx([1 / 3, 0])
    assert b.task == "toy"
    assert len(matched.left_out) == 3


def test_tasks_of_other_names_are_paired_by_their_documents() -> None:
    first, second = run("a", arc_letters=[1, 2, 3], toy=[1]), run("b", toy=[1], arc=[3, 2, 1])
    matched = match([first, second])
    a, b = (m.samples["arc_letters"] for m in matched.runs)
    assert a.doc_hash.tolist() == b.doc_hash.tolist() == [1, 2, 3]
    assert b.task == "arc_letters"
    assert matched.renamed == ["b: arc has the documents of arc_letters"]
    assert not matched.left_out


@pytest.mark.parametrize("offered", [{"x": [1, 2], "y": [1, 2]}, {"x": [1, 8, 9]}])
def test_tasks_are_not_guessed(offered: dict[str, list[int]]) -> None:
    first, second = run("a", letters=[1, 2], toy=[5]), run("b", toy=[5], **offered)
    matched = match([first, second], allow_partial=True)
    assert list(matched.runs[0].samples) == ["toy"]
    assert not matched.renamed
    assert len(matched.left_out) == 2
    assert all(name in matched.left_out[1] for name in offered)


def test_three_runs_keep_what_all_have() -> None:
    runs = [run("a", toy=[1, 2, 3]), run("b", toy=[3, 2]), run("c", toy=[2, 7])]
    matched = match(runs, allow_partial=True)
    assert [m.samples["toy"].doc_hash.tolist() for m in matched.runs] == [[2]] * 3


def test_groups_stay_if_they_are_whole() -> None:
    first = replace(run("a", x=[1], y=[1]), groups={"both": ("x", "y"), "one": ("x",)})
    second = run("b", x=[1])
    matched = match([first, second], allow_partial=True)
    assert matched.runs[0].groups == matched.runs[1].groups == {"one": ("x",)}


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="at least two runs, got 1"):
        match([run("a", toy=[1])])
    for other in (run("b", toy=[2]), run("b", different=[2])):
        with pytest.raises(InvalidInputError, match="no document in common"):
            match([run("a", toy=[1]), other], allow_partial=True)
    bare = Run("c", {"toy": Samples("c", "toy", Path("t.csv"), samples([1]).predictions)})
    with pytest.raises(InvalidInputError, match="holds no document hashes"):
        match([run("a", toy=[1]), bare])
