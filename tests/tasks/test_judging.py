"""No answer is no agreement, equal is what the task's metric calls equal, and one metric judges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from logged_lines import save_run
from release import answers, only_0_4

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.pool import score_pool, weightiest_answer
from lm_eval_calibration.tasks.judging import equality, is_none, labelled, nothing_found

few = settings(derandomize=True, deadline=None, max_examples=60 * EXAMPLES)
FOUND = 'filter_list: [{name: found, filter: [{function: regex, regex_pattern: "(-?[0-9]+)"}, {function: take_first}]}]'
METRIC = "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true%s}]"


class Pools(LM):
    """Says what it is told of each document, as `self_consistency` does."""

    states_confidence = True

    def __init__(self, pools: list[list[str]]) -> None:
        super().__init__()
        self.pools = pools

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [
            Envelope("self_consistency", None, candidates=tuple(self.pools[r.doc_id])).to_text()
            for r in requests
        ]

    def loglikelihood(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Any]) -> Any:
        raise NotImplementedError


Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def evaluate(tmp_path: Path) -> Evaluate:
    """A task of given answers, asked of given pools; its results."""

    def evaluated(
        gold: list[str], pools: list[list[str]], *settings: str, code: str = "", **options: Any
    ) -> dict[str, Any]:
        rows = [{"question": f"{i}?", "answer": answer} for i, answer in enumerate(gold)]
        (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
        (tmp_path / "utils.py").write_text(code)
        (tmp_path / "asked.yaml").write_text(
            f"task: asked\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {tmp_path}/rows.json}}}}\n"
            "output_type: generate_until\ntest_split: test\ndoc_to_text: question\n"
            'doc_to_target: answer\ngeneration_kwargs: {until: ["."]}\n' + "\n".join(settings)
        )
        manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
        return dict(
            simple_evaluate(
                model=Pools(pools), tasks=["calib_asked"], task_manager=manager,
                bootstrap_iters=0, **options,
            )
        )  # fmt: skip

    return evaluated


def envelopes(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample["envelopes"] for sample in results["samples"]["calib_asked"]]


@only_0_4("0.5.0.dev1 reads a target of digits as a number, which equals no text")
def test_what_the_filter_did_not_find_never_wins(evaluate: Evaluate, tmp_path: Path) -> None:
    """Half of the pool says nothing: the answer has a vote of four, not `[invalid]` two (W2)."""
    pools = [["5", "180", "who knows", "..."], ["no idea", "", "hm", "-"], ["7", "7", "", "8"]]
    results = evaluate(["5", "6", "7"], pools, FOUND, METRIC % "")
    row = results["results"]["calib_asked"]
    assert row["unanswered_rate,found"] == pytest.approx(7 / 12)
    first, second, third = envelopes(results)
    assert first["answers"] == [0, 1, None, None] and first["confidence"] == 0.25
    assert second["answers"] == [None] * 4 and second["confidence"] == 0 and not second["answered"]
    assert third["confidence"] == 0.5 and third["answered"]
    assert [str(answers(s)[0]) for s in results["samples"]["calib_asked"]][::2] == [
        "5",
        "7",
    ]
    assert row["exact_match,found"] == pytest.approx(2 / 3)
    assert row["majority,found"] == pytest.approx((0.5 + 0 + 1) / 3)  # (5 and 180 tie)
    assert row["ece,found"] == pytest.approx(np.mean([0.75, 0, 0.5]))
    folder = save_run(tmp_path / "saved", results)
    pooled = json.loads(run("pools", folder, "--json").stdout)["pools"][0]["figures"]
    for name in ("majority", "gen", "unanswered_rate"):
        assert pooled[name]["value"] == pytest.approx(row[f"{name},found"])


@only_0_4("0.5.0.dev1 reads a target of digits as a number, which equals no text")
def test_a_fallback_that_is_an_answer_is_one(evaluate: Evaluate) -> None:
    """What stands where nothing was found is the right answer of some documents: it counts."""
    settings = FOUND.replace('"}', '", fallback: "0"}')
    results = evaluate(["0", "5"], [["none", "none", "3"], ["5", "5", "x"]], settings, METRIC % "")
    assert results["results"]["calib_asked"]["unanswered_rate,found"] == 0
    assert [e["confidence"] for e in envelopes(results)] == pytest.approx([2 / 3, 2 / 3])


def test_equal_is_what_the_metric_calls_equal(evaluate: Evaluate) -> None:
    """Paris, paris, Paris. and PARIS are one answer (W3)."""
    pool = ["Paris", "paris", "Paris.", "PARIS", "Rome"]
    options = ", ignore_case: true, ignore_punctuation: true"
    (told,) = envelopes(evaluate(["paris"], [pool], METRIC % options))
    assert told["answers"] == [0, 0, 0, 0, 4] and told["confidence"] == 0.8
    (plain,) = envelopes(evaluate(["Paris"], [pool], METRIC % ""))
    assert plain["answers"] == [0, 1, 2, 3, 4] and plain["confidence"] == 0.2


NUMBERS = """
def process_results(doc, results):
    text = results[0].strip()
    if not text.isdigit():
        return {"length": float(len(text))}
    return {"exact_match": float(text == doc["answer"]), "length": float(len(text))}
"""
OWN = """process_results: !function utils.process_results
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: length, aggregation: mean, higher_is_better: true}"""


def test_what_the_task_does_not_judge_is_wrong(evaluate: Evaluate) -> None:
    """Its `process_results` leaves `exact_match` out, and another metric is not taken for it (W4)."""
    pools = [["x", "x", "5"], ["a", "b", "c"], ["7", "7", "7"]]
    results = evaluate(["5", "6", "7"], pools, OWN, code=NUMBERS)
    row = results["results"]["calib_asked"]
    assert results["configs"]["calib_asked"]["metadata"]["judged_by"] == "exact_match"
    assert [e["answers"] for e in envelopes(results)] == [[None, None, 2], [None] * 3, [0, 0, 0]]
    assert [e["confidence"] for e in envelopes(results)] == pytest.approx([1 / 3, 0, 1])
    assert row["unanswered_rate,none"] == pytest.approx(5 / 9)
    assert row["ece,none"] == pytest.approx(np.mean([2 / 3, 0, 0]))


def test_a_task_without_a_judge_is_refused_before_anything(evaluate: Evaluate) -> None:
    asked: list[Any] = []
    bleu = "metric_list: [{metric: bleu, aggregation: bleu, higher_is_better: true}]"
    with pytest.raises(InvalidInputError, match=r"none of the metrics of `asked` \(bleu\)"):
        evaluate(["5"], [asked], bleu)


@only_0_4("`bypass` ends in a TypeError for generation in 0.5.0.dev1")
def test_nothing_is_scored_by_predict_only(evaluate: Evaluate) -> None:
    results = evaluate(["5"], [["5", "x", "5"]], FOUND, METRIC % "", predict_only=True)
    (sample,) = results["samples"]["calib_asked"]
    assert [str(answer) for answer in answers(sample)] == ["5"]


POOLS = st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=8)


@given(answers=POOLS, seed=st.integers(0, 99))
@few
def test_laws_of_no_answer(answers: list[str | None], seed: int) -> None:
    """It never wins, never ties, never agrees, and one more of it moves no answer to another."""
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(answers))).tolist()
    chosen = weightiest_answer(answers, weights)
    assert (chosen is None) == all(answer is None for answer in answers)
    scores = [1.0 if answer == "a" else 0.0 for answer in answers]
    found = score_pool(scores, answers, [])
    more = score_pool([*scores, 0.0], [*answers, None], [])
    assert more.majority == found.majority
    assert found.unanswered_rate == answers.count(None) / len(answers)
    if chosen is not None:
        assert answers[chosen[0]] is not None
        again = weightiest_answer([*answers, None], [*weights, 9.0])
        assert again is not None and again[0] == chosen[0]


@given(st.lists(st.sampled_from(["Yes", "yes", "YES!", "no", "No.", "maybe"]), max_size=7))
@few
def test_labels_are_classes(values: list[str]) -> None:
    """By the harness's own `exact_match`: equal labels for what it calls equal, first numbers first."""
    from lm_eval.api.metrics import exact_match_fn

    equal = equality(
        "exact_match", exact_match_fn, {"ignore_case": True, "ignore_punctuation": True}
    )
    labels = labelled(values, [True] * len(values), equal)
    plain = ["".join(c for c in v.lower() if c.isalpha()) for v in values]
    assert labels == tuple(plain.index(p) for p in plain)


def test_what_is_none() -> None:
    assert is_none(None, None) and is_none("", None) and is_none(" \n", "x")
    assert is_none(["invalid"], ["invalid"]) and not is_none(0, None) and not is_none([], "x")
    assert nothing_found(lambda doc, value: 0.0, [1, 2], ["x", "y"]) == ["x", "y"]
    assert nothing_found(lambda doc, value: float(doc == 2), [1, 2], ["x", "y"]) == [None, None]

    def breaks(doc: Any, value: Any) -> float:
        raise KeyError(value)

    assert nothing_found(breaks, [1], ["x"]) == ["x"]
