"""Models on common tasks: means, ranks with intervals, and places of those that cannot be told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.analysis.leaderboard import Figure, Leaderboard, Rank, leaderboard
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.predictions import Predictions

N = 200
few = {"replicates": 200}


def samples(run: str, task: str, skill: float, count: int = N, seed: int = 0) -> Samples:
    """Documents are as hard for every model; what a model adds is its own."""
    shared = np.random.default_rng((seed, len(task), *map(ord, task)))
    own = np.random.default_rng((seed, *map(ord, run + task)))
    gold = shared.integers(0, 4, count)
    scores = shared.normal(size=(count, 4)) + 0.5 * own.normal(size=(count, 4))
    scores[np.arange(count), gold] += skill
    beliefs = Predictions.from_options(scores.tolist(), gold.tolist())
    return Samples(run, task, Path(task), beliefs, doc_hash=np.arange(count, dtype=np.uint64))


def made(label: str, skill: float, tasks: tuple[str, ...] = ("a", "b", "c")) -> Run:
    return Run(label, {task: samples(label, task, skill) for task in tasks})


def test_figures_are_means_of_the_tasks() -> None:
    runs = [made("one", 1.0), made("two", 0.2)]
    board = leaderboard(runs, ["acc", "nll", "ece"], **few)
    for standing in board.standings:
        run = next(run for run in runs if run.label == standing.model)
        for name, figure in standing.figures.items():
            each = {
                t: evaluate(s.predictions, [name], replicates=0)[name].value
                for t, s in run.samples.items()
            }
            assert {t: f.value for t, f in standing.tasks[name].items()} == each
            assert all(f.low <= f.value <= f.high for f in standing.tasks[name].values())
            assert figure.value == pytest.approx(np.mean(list(each.values())), rel=1e-12)
            assert figure.low <= figure.value <= figure.high
    assert [s.model for s in board.standings] == ["one", "two"]
    assert [s.place for s in board.standings] == [1, 2]
    assert board.tasks == {"a": N, "b": N, "c": N} and board.notes == ()


def test_intervals_cover_as_others_do() -> None:
    """Of a mean over tasks: 1.96 of the closed form's standard error on either side, nearly."""
    board = leaderboard([made("one", 1.0), made("two", 0.2)], ["acc"], replicates=2000)
    figure = board.standings[0].figures["acc"]
    p = np.array([f.value for f in board.standings[0].tasks["acc"].values()])
    stderr = np.sqrt((p * (1 - p) / (N - 1)).sum()) / len(p)
    assert (figure.high - figure.low) / 2 == pytest.approx(1.96 * stderr, rel=0.1)


def test_equal_models_share_a_place() -> None:
    """However many there are; a better one stands alone."""
    twins = [Run(f"twin {i}", made("x", 0.4).samples) for i in range(5)]
    board = leaderboard([*twins, made("best", 2.0)], ["acc", "ece"], **few)
    assert [s.place for s in board.standings] == [1, 2, 2, 2, 2, 2]
    assert board.standings[0].model == "best" and board.standings[0].rank == Rank(1, 1, 1)
    ranks = [s.rank for s in board.standings[1:]]
    assert {(r.value, r.low, r.high) for r in ranks} == {(2, 2, 2)}


@given(st.permutations(range(4)), st.sampled_from(["acc", "nll", "brier", "ece"]))
@settings(max_examples=8, deadline=None)
def test_the_order_of_runs_does_not_matter(order: list[int], by: str) -> None:
    runs = [made(f"m{i}", 0.3 * i) for i in range(4)]
    first = leaderboard(runs, ["acc", "nll", "brier", "ece"], by=by, **few)
    again = leaderboard([runs[i] for i in order], ["acc", "nll", "brier", "ece"], by=by, **few)
    assert _plain(first) == _plain(again)


def _plain(board: Leaderboard) -> dict[str, object]:
    return {s.model: (s.place, s.rank, dict(s.figures)) for s in board.standings}


def test_what_is_missing_is_said_or_refused() -> None:
    whole, part = made("whole", 1.0), made("part", 0.5, ("a", "b"))
    board = leaderboard([whole, part], ["acc"], **few)
    assert list(board.tasks) == ["a", "b"]
    assert any("whole: task c is not in all runs" in note for note in board.notes)
    with pytest.raises(InvalidInputError, match="task c"):
        leaderboard([whole, part], ["acc"], require_all=True, **few)
    some = Run("some", {"a": samples("some", "a", 1.0, 150), "b": samples("some", "b", 1.0)})
    board = leaderboard([whole, some], ["acc"], **few)
    assert board.tasks == {"a": 150, "b": N}


def test_pooled_is_of_all_documents() -> None:
    runs = [made("one", 1.0), made("two", 0.2)]
    board = leaderboard(runs, ["ece"], pooled=True, **few)
    together = Predictions.concatenate([s.predictions for s in runs[0].samples.values()])
    value = evaluate(together, ["ece"], replicates=0)["ece"].value
    (found,) = [s.figures["ece"].value for s in board.standings if s.model == "one"]
    assert found == value


def test_documents_that_nobody_named_are_drawn_apart() -> None:
    runs = [
        Run(r.label, {t: Samples(r.label, t, Path(t), s.predictions) for t, s in r.samples.items()})
        for r in (made("one", 0.5), made("two", 0.4))
    ]
    board = leaderboard(runs, ["acc"], **few)
    assert any("not known" in note for note in board.notes)
    assert [s.place for s in board.standings] == [1, 1]
    paired = leaderboard([made("one", 0.5), made("two", 0.4)], ["acc"], **few)
    assert [s.figures["acc"].value for s in paired.standings] == [
        s.figures["acc"].value for s in board.standings
    ]


def test_what_is_undefined_in_a_task_is_left_out_of_the_mean() -> None:
    sure = Predictions.from_options([[9.0, 0.0]] * 50, [0] * 50)  # all right: no AUROC
    easy = Samples("one", "z", Path("z"), sure, doc_hash=np.arange(50, dtype=np.uint64))
    runs = [Run(r.label, {**r.samples, "z": easy}) for r in (made("one", 1.0), made("two", 0.2))]
    board = leaderboard(runs, ["acc", "auroc"], **few)
    (note,) = [note for note in board.notes if note.startswith("auroc")]
    assert note == "auroc is over 3 of 4 task(s), without `z`, where it is undefined for all models"
    assert board.counted == {"acc": ("a", "b", "c", "z"), "auroc": ("a", "b", "c")}
    of_three = leaderboard([made("one", 1.0), made("two", 0.2)], ["auroc"], **few)
    assert board.standings[0].figures["auroc"].value == pytest.approx(
        of_three.standings[0].figures["auroc"].value
    )


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"by": "nll"}, "one of the metrics acc"),
        ({"tasks": ["nothing"]}, "`tasks` must be of a, b, c"),
        ({"replicates": 1}, "at least 2"),
    ],
)
def test_what_cannot_be(given_: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        leaderboard([made("one", 1.0), made("two", 0.2)], ["acc"], **given_)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="at least two runs"):
        leaderboard([made("one", 1.0)], ["acc"])


def test_an_infinite_figure_is_said_and_ranks_last() -> None:
    certain = Predictions.from_options([[0.0, -np.inf]] * N, [1] * N)
    lost = {t: replace(s, predictions=certain) for t, s in made("lost", 0.0).samples.items()}
    board = leaderboard([Run("lost", lost), made("one", 1.0)], ["acc", "nll"], **few)
    assert "nll of lost is infinite on `a`, `b`, `c`" in board.notes
    assert [s.model for s in board.standings] == ["one", "lost"]
    assert np.isinf(board.standings[1].tasks["nll"]["a"].value)


def test_one_infinite_task_is_an_infinite_mean() -> None:
    best, other = made("best", 3.0), made("other", 0.2)
    certain = Predictions.from_options([[0.0, -np.inf]] * N, [1] * N)
    lost = {**best.samples, "b": replace(best.samples["b"], predictions=certain)}
    board = leaderboard([Run("best", lost), other], ["acc", "nll"], by="nll", **few)
    assert [(s.model, s.place, s.rank.value) for s in board.standings] == [
        ("other", 1, 1),
        ("best", 2, 2),
    ]
    assert np.isinf(board.standings[1].figures["nll"].value)
    means = [board.standings[0].tasks["nll"][t].value for t in "abc"]
    assert board.standings[0].figures["nll"].value == pytest.approx(np.mean(means))
    assert "nll of best is infinite on `b`" in board.notes


def test_a_metric_that_is_named_twice_is_one() -> None:
    runs = [made("one", 1.0), made("two", 0.2)]
    twice = leaderboard(runs, ["acc", "ece", "acc"], **few)
    assert twice.metrics == ("acc", "ece")
    assert twice.standings == leaderboard(runs, ["acc", "ece"], **few).standings


def test_all_right_is_no_certainty() -> None:
    sure = Predictions.from_options([[9.0, 0.0]] * N, [0] * N)
    right = {t: replace(s, predictions=sure) for t, s in made("right", 0.0).samples.items()}
    board = leaderboard([Run("right", right), made("one", 1.0)], ["acc"], **few)
    alone = evaluate(sure, ["acc"])["acc"]
    (first, _) = board.standings
    assert first.tasks["acc"]["a"] == Figure(1.0, alone.low, 1.0)
    assert alone.low < first.figures["acc"].low < 1.0 == first.figures["acc"].high


def test_what_no_task_defines_ranks_nobody() -> None:
    sure = Predictions.from_options([[9.0, 0.0]] * N, [0] * N)
    runs = [
        Run(label, {t: replace(s, predictions=sure) for t, s in made(label, 0.0).samples.items()})
        for label in ("one", "two")
    ]
    with pytest.raises(InvalidInputError, match="cannot be ranked by `auroc`"):
        leaderboard(runs, ["acc", "auroc"], by="auroc", **few)
