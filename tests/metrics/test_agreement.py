"""Beliefs from samples and from tokens: laws, and the numbers of uqlm and lm-polygraph on the same inputs."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import prr
from lm_eval_calibration.metrics.agreement import BELIEFS, ENTROPIES, agreement, components
from lm_eval_calibration.metrics.token_scores import (
    TokenScores,
    entropy,
    likelihoods,
    of_distribution,
)

FIXTURE = Path(__file__).with_name("uq_libraries.json")
LIBRARIES = os.environ.get("UQ_PYTHON")
"""A Python that has uqlm and lm-polygraph."""
NUMBERS = st.lists(st.integers(0, 4), min_size=2, max_size=9)
WEIGHT = st.tuples(st.floats(-60, 0), st.integers(1, 12).map(float))


def checked(told: dict[str, Any]) -> None:
    theirs, uqlm = told["lm-polygraph"], told["uqlm"]
    for i, case in enumerate(told["cases"]):
        probabilities = np.array([top[0] for top in case["tops"]])
        margins, entropies = zip(*(of_distribution(np.array(t)) for t in case["tops"]), strict=True)
        tokens = TokenScores(np.log(probabilities), np.array(margins), np.array(entropies))
        ours = likelihoods(tokens)
        near = {"rel": 1e-9}
        assert math.log(ours["sequence"]) == pytest.approx(theirs["log sequence"][i], **near)
        assert math.log(ours["normalised"]) == pytest.approx(theirs["log normalised"][i], **near)
        assert ours["normalised"] == pytest.approx(uqlm["sequence_probability"][i], **near)
        assert ours["sequence"] == pytest.approx(uqlm["sequence"][i], **near)
        assert ours["least"] == pytest.approx(uqlm["min_probability"][i], **near)
        assert ours["margin"] == pytest.approx(uqlm["probability_margin"][i], **near)
        weights = [(sum(sample), float(len(sample))) for sample in case["samples"]]
        found = agreement([0, *case["clusters"]], weights)
        for name in ("discrete_semantic_entropy", "sequence_semantic_entropy"):
            assert found[name] == pytest.approx(theirs[name][i], abs=1e-12)
        assert -found["discrete_semantic_entropy"] == pytest.approx(uqlm["discrete"][i], abs=1e-12)
        assert -found["semantic_entropy"] == pytest.approx(uqlm["tokenprob"][i], abs=1e-12)
    sure, right = (np.array([case[n] for case in told["cases"]]) for n in ("confidence", "correct"))
    for share in (1.0, 0.5):
        area, best, chance = theirs[f"area_{share}"], theirs[f"best_area_{share}"], right.mean()
        expected = (area - chance) / (best - chance)
        assert prr(sure, right, max_rejection=share) == pytest.approx(expected)


def test_the_libraries_numbers() -> None:
    checked(json.loads(FIXTURE.read_text()))


@pytest.mark.slow
@pytest.mark.skipif(not LIBRARIES, reason="UQ_PYTHON names no Python with uqlm and lm-polygraph")
def test_the_libraries_as_they_are_installed() -> None:
    script = Path(__file__).parents[1] / "uq_libraries.py"
    printed = subprocess.run([str(LIBRARIES), script], capture_output=True, text=True, check=True)
    checked(json.loads(printed.stdout))


@given(NUMBERS, st.data())
@settings(derandomize=True, deadline=None)
def test_neither_names_of_clusters_nor_the_order_of_samples_matter(
    numbers: list[int], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(WEIGHT, min_size=len(numbers) - 1, max_size=len(numbers) - 1))
    found = agreement(numbers, weights)
    order = data.draw(st.permutations(range(len(numbers) - 1)))
    renamed = [7 - number for number in numbers]
    again = agreement([renamed[0], *(renamed[1 + i] for i in order)], [weights[i] for i in order])
    assert found == pytest.approx(again, abs=1e-9)
    assert set(found) == set(BELIEFS)
    for name, value in found.items():
        if name == "sequence_semantic_entropy":
            continue  # (unnormalised: of any sign)
        assert (
            -math.log(len(numbers)) <= value <= 1e-12
            if name in ENTROPIES
            else 0 <= value <= 1 + 1e-12
        )


@given(NUMBERS)
def test_equal_weights_count_samples(numbers: list[int]) -> None:
    found = agreement(numbers, [(-4.0, 2.0)] * (len(numbers) - 1))
    assert found["weighted_mass"] == pytest.approx(found["cluster_mass"])
    assert found["semantic_entropy"] == pytest.approx(found["discrete_semantic_entropy"])


def test_who_all_agree_leave_no_entropy() -> None:
    found = agreement([3, 3, 3])
    assert found == {"cluster_mass": 1.0, "discrete_semantic_entropy": 0.0}
    assert agreement([0, 1, 1])["cluster_mass"] == 0.0


def test_what_cannot_be() -> None:
    with pytest.raises(InvalidInputError, match="at least one sample"):
        agreement([0])
    with pytest.raises(InvalidInputError, match="one for each of 2 samples"):
        agreement([0, 0, 0], [(-1.0, 1.0)])


@given(st.integers(1, 6), st.data())
@settings(derandomize=True, deadline=None)
def test_clusters_do_not_depend_on_order(count: int, data: st.DataObject) -> None:
    pairs = st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))
    same = np.eye(count, dtype=bool)
    for i, j in data.draw(st.lists(pairs, max_size=8)):
        same[i, j] = True
    order = data.draw(st.permutations(range(count)))
    found, again = components(same), components(same[np.ix_(order, order)])
    for a in range(count):
        for b in range(count):
            there = order.index(a), order.index(b)
            assert (found[a] == found[b]) == (again[there[0]] == again[there[1]])


def test_tokens_of_which_a_margin_is_unknown() -> None:
    logs = np.log([0.5, 0.5])
    assert likelihoods(TokenScores(logs)).keys() == {"sequence", "normalised", "least"}
    told = likelihoods(TokenScores(logs, np.array([np.nan, 0.25]), np.array([0.5, 0.7])))
    assert told["margin"] == 0.25 and told["entropy"] == -0.6
    assert "margin" not in likelihoods(TokenScores(logs, np.array([np.nan, np.nan])))


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=20))
def test_entropy_of_what_a_server_tells(weights: list[float]) -> None:
    """The likeliest tokens alone leave a lower bound, which more of them raise."""
    p = np.sort(np.array(weights) / sum(weights))[::-1]
    whole = of_distribution(p)[1]
    few = of_distribution(p[:2])[1]
    assert few <= whole + 1e-9
    assert entropy(TokenScores(np.zeros(1), entropy=np.array([whole]))) == -whole
