"""Pools of many documents: figures by hand, intervals that are paired, and the two tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.paired import mcnemar
from lm_eval_calibration.metrics.pool import score_pool
from lm_eval_calibration.metrics.pool_summary import Pool, mcnemar_of_picks, summarise

few = settings(derandomize=True, deadline=None, max_examples=40)
pools = st.lists(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=4).flatmap(
        lambda f: st.tuples(st.just(tuple(f)), st.sampled_from([0, 1, 2, 3, None]))
    ),
    min_size=1,
    max_size=12,
)


def random_pools(count: int, seed: int, skill: float) -> list[Pool]:
    """Candidates that are right half the time; the pick is the best one with chance `skill`."""
    rng = np.random.default_rng(seed)
    found = []
    for row in (rng.random((count, 4)) < 0.5).astype(float):
        pick = int(row.argmax()) if rng.random() < skill else int(rng.integers(4))
        found.append(Pool(tuple(row), tuple(map(str, row)), (pick,)))
    return found


@given(pools)
@few
def test_means_of_what_each_document_scores(
    given_pools: list[tuple[tuple[float, ...], int | None]],
) -> None:
    made = [Pool(f, tuple(map(str, f)), (pick,)) for f, pick in given_pools]
    found = summarise(made, 50)
    rows = [score_pool(p.scores, p.answers, p.picks) for p in made]
    for name, value in found.values.items():
        if name != "norm_gain":
            assert value == pytest.approx(np.mean([getattr(r, name) for r in rows]))
    assert found.values["dg_diff"] == pytest.approx(found.values["disc"] - found.values["gen"])
    assert found.documents == len(made) and found.sizes == (4,)
    assert found.mixed == sum(len(set(p.scores)) > 1 for p in made)
    for spread, value in zip(found.spreads.values(), found.values.values(), strict=True):
        assert math.isnan(spread.low) or spread.low <= value <= spread.high


def test_intervals_are_those_of_a_paired_difference() -> None:
    found = summarise(random_pools(400, 0, 0.5), 1000)
    rows = [p.scored() for p in random_pools(400, 0, 0.5)]
    gains = np.array([r.dg_diff for r in rows])
    expected = gains.std(ddof=1) / math.sqrt(400)
    assert found.spreads["dg_diff"].stderr == pytest.approx(expected, rel=0.1)
    alone = math.hypot(found.spreads["disc"].stderr, found.spreads["gen"].stderr)
    assert found.spreads["dg_diff"].stderr < 0.95 * alone
    assert found.dg_diff_p < 0.01 and found.mcnemar is not None and found.mcnemar.p_value < 0.01


def test_a_random_picker_is_not_told_from_chance_more_often_than_promised() -> None:
    tested = [summarise(random_pools(80, seed, 0.0), 400) for seed in range(150)]
    covered = [t.spreads["dg_diff"].low <= 0 <= t.spreads["dg_diff"].high for t in tested]
    assert 0.88 < np.mean(covered) <= 0.995
    assert np.mean([t.dg_diff_p < 0.05 for t in tested]) < 0.12
    assert np.mean([t.mcnemar.p_value < 0.05 for t in tested if t.mcnemar]) < 0.12


def test_mcnemar_by_hand_and_beside_the_exact_test() -> None:
    """The first candidate is the random draw; a pick that names none scores the worst."""
    made = [
        Pool((0.0, 1.0), ("a", "b"), (1, 0)),  # gained, whatever the second pick is
        Pool((1.0, 0.0), ("a", "b"), (None,)),  # lost
        Pool((0.0, 1.0), ("a", "b"), (1,)),
        Pool((1.0, 1.0), ("a", "b"), (1,)),
    ]
    found = mcnemar_of_picks(made)
    assert found is not None and (found.gained, found.lost) == (2, 1)
    assert found.z == pytest.approx(1 / math.sqrt(3))
    many = random_pools(500, 3, 0.3)
    found = mcnemar_of_picks(many)
    exact = mcnemar([p.scores[0] for p in many], [p.scores[p.picks[0] or 0] for p in many])
    assert found is not None and (found.lost, found.gained) == (exact.only_a, exact.only_b)
    assert 2 * found.p_value == pytest.approx(exact.p_value, rel=0.35)


def test_where_there_is_nothing_to_test() -> None:
    assert mcnemar_of_picks([Pool((0.5, 1.0), ("a", "b"), (1,))]) is None
    alike = mcnemar_of_picks([Pool((1.0, 1.0), ("a", "b"), (1,))])
    assert alike is not None and math.isnan(alike.p_value)
    found = summarise([Pool((1.0, 0.0), ("a", "b"))] * 5, 50)
    assert set(found.values) == {"gen", "majority", "oracle", "worst", "unanswered_rate"}
    assert math.isnan(found.dg_diff_p) and found.mcnemar is None


def test_what_is_refused() -> None:
    pool = Pool((1.0, 0.0), ("a", "b"), (1,))
    for arguments, match in (
        (([],), "`pools` must be at least one"),
        (([pool, Pool((1.0,), ("a",))],), "all with picks, or all without"),
        (([pool], 1), "`replicates` must be at least 2"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            summarise(*arguments)


def test_choosing_by_beliefs_is_tested_against_chance_and_the_majority() -> None:
    rng = np.random.default_rng(0)
    pools = []
    for _ in range(120):
        right = rng.random(4) < 0.4
        beliefs = np.where(right, 0.6, 0.4) + rng.normal(0, 0.1, 4)
        pools.append(
            Pool(tuple(right.astype(float)), tuple(right), beliefs=tuple(beliefs.clip(0, 1)))
        )
    found = summarise(pools, 200)
    assert found.values["gen"] < found.values["best_of_n"] <= found.values["oracle"]
    gain = found.values["best_of_n"] - found.values["gen"]
    assert found.values["best_of_n_gain"] == pytest.approx(gain)
    assert found.best_p["gen"] < 0.05 and set(found.best_p) == {"gen", "majority"}
    assert found.spreads["best_of_n_gain"].low > 0 and np.isnan(found.dg_diff_p)
    with pytest.raises(InvalidInputError, match="beliefs in candidates"):
        summarise([*pools, Pool((1.0, 0.0), ("a", "b"))], 20)
