"""Wrappers that state beliefs about generated answers, through the harness and its twins."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from release import answers
from scripted_base import Scripted, right

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.models.p_true import PTrueLM
from lm_eval_calibration.models.self_consistency import SelfConsistencyLM
from lm_eval_calibration.models.self_correct import SelfCorrectLM
from lm_eval_calibration.models.shared import phases

TASK = "calib_toy_generate"
few = {"candidates": 4}


def evaluate(lm: Any, tasks: Any, names: Any = TASK, **options: Any) -> dict[str, Any]:
    names = [names] if isinstance(names, str) else names
    return dict(
        simple_evaluate(model=lm, tasks=names, task_manager=tasks, bootstrap_iters=100, **options)
    )


def row(results: dict[str, Any], task: str = TASK) -> dict[str, float]:
    return {
        key.removesuffix(",none"): value
        for key, value in results["results"][task].items()
        if key.endswith(",none")
    }


def logged(results: dict[str, Any], task: str = TASK) -> list[dict[str, Any]]:
    return list(results["samples"][task])


@pytest.mark.parametrize("how", ["index", "verbatim", "likelihood", "pairwise"])
def test_a_picker_that_knows_adds_what_there_is_to_add(tasks: Any, how: str) -> None:
    lm = SelfCorrectLM(base="scripted", picker="oracle", discriminate=how, **few)
    results = evaluate(lm, tasks)
    found = row(results)
    assert 0.3 < found["gen"] < 0.7 and found["oracle"] > found["gen"]
    assert "envelopes" not in found  # logged, but no metric
    assert found["disc"] == pytest.approx(found["oracle"])
    assert found["dg_diff"] == pytest.approx(found["oracle"] - found["gen"])
    assert found["norm_gain"] == pytest.approx(1.0) and found["invalid_rate"] == 0
    assert found["exact_match"] == pytest.approx(found["oracle"])
    assert found["worst"] <= found["gen"] <= found["majority"] + 0.2
    for sample in logged(results):
        said = sample["envelopes"]
        scores = [float(c == right(sample["doc_id"])) for c in said["candidates"]]
        assert said["scores"] == scores and len(scores) == 4
        assert sample["gen"] == np.mean(scores) and sample["oracle"] == max(scores)
    json.dumps(logged(results)[0]["envelopes"])


def test_a_random_picker_adds_nothing(tasks: Any) -> None:
    found = row(evaluate(SelfCorrectLM(base="scripted", picker="random", **few), tasks))
    assert abs(found["dg_diff"]) < 2.5 * found["dg_diff_stderr"]
    assert found["dg_diff_stderr"] > 0 and found["norm_gain_stderr"] > 0


def test_controls(tasks: Any, tmp_path: Path) -> None:
    """Easy distractors raise what picking adds; without the question it adds nothing."""
    without = tmp_path / "without.jinja"
    without.write_text(
        "Which of them?\n{% for c in candidates %}Answer {{ loop.index }}: {{ c }}\n{% endfor %}"
    )
    found = {
        name: row(
            evaluate(SelfCorrectLM(base="scripted", picker="unsure", **options, **few), tasks)
        )
        for name, options in {
            "hard": {"wrong": "test answer xxxxx"},
            "easy": {"wrong": "?"},
            "no question": {"wrong": "?", "template": str(without)},
        }.items()
    }
    gain = {name: values["dg_diff"] for name, values in found.items()}
    assert 0.05 < gain["hard"] < gain["easy"] - 0.1
    assert found["easy"]["norm_gain"] > 0.95
    assert abs(gain["no question"]) < 2.5 * found["no question"]["dg_diff_stderr"]


def test_a_mute_picker_scores_the_worst(tasks: Any) -> None:
    found = row(evaluate(SelfCorrectLM(base="scripted", picker="mute", **few), tasks))
    assert found["invalid_rate"] == 1 and found["disc"] == found["worst"]
    assert found["disc_lenient"] == found["gen"]
    assert found["dg_diff"] == pytest.approx(found["worst"] - found["gen"])


def test_orders_average_a_preference_for_the_first(tasks: Any) -> None:
    """What prefers the first place is a random picker once every candidate has stood there."""
    every = row(evaluate(SelfCorrectLM(base="scripted", picker="first", **few), tasks))
    assert every["dg_diff"] == pytest.approx(0)
    one = SelfCorrectLM(base="scripted", picker="first", permutations=1, **few)
    results = evaluate(one, tasks)
    assert "ece" not in row(results)  # one pick is no belief
    for sample in logged(results):
        assert sample["envelopes"]["picks"] == [0] and sample["envelopes"]["orders"] == [
            [0, 1, 2, 3]
        ]


def test_confidence_is_the_share_of_orders(tasks: Any) -> None:
    results = evaluate(SelfCorrectLM(base="scripted", picker="random", **few), tasks)
    assert {"ece", "ece_null", "auroc", "aurc", "ace", "mce"} <= set(row(results))
    for sample in logged(results):
        said = sample["envelopes"]
        picked = [said["filtered"][pick] for pick in said["picks"]]  # equal answers are one
        assert said["confidence"] == max(picked.count(p) for p in picked) / 4
        assert picked.count(str(answers(sample)[0])) / 4 == said["confidence"]
        assert sample["ece"] == [said["confidence"], sample["exact_match"]]


def test_likelihoods_are_a_belief_over_candidates(tasks: Any) -> None:
    results = evaluate(
        SelfCorrectLM(base="scripted", picker="oracle", discriminate="likelihood", **few), tasks
    )
    for sample in logged(results):
        said = sample["envelopes"]
        assert sum(said["beliefs"]) == pytest.approx(1)
        beliefs: dict[str, float] = {}
        for answer, belief in zip(said["filtered"], said["beliefs"], strict=True):
            beliefs[answer] = beliefs.get(answer, 0) + belief
        assert said["confidence"] == pytest.approx(max(beliefs.values()))
    assert row(results)["auroc"] > 0.5


def test_self_consistency(tasks: Any) -> None:
    results = evaluate(SelfConsistencyLM(base="scripted", candidates=6), tasks)
    found = row(results)
    assert found["majority"] >= found["gen"] and "disc" not in found
    for sample in logged(results):
        said = sample["envelopes"]
        counts = [said["filtered"].count(c) for c in said["filtered"]]
        assert said["confidence"] == pytest.approx(max(counts) / 6)
        assert str(answers(sample)[0]) == said["filtered"][counts.index(max(counts))]


@pytest.mark.parametrize("base", ["scripted", "scripted-api"])
def test_p_true(tasks: Any, base: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        results = evaluate(PTrueLM(base=base), tasks)
    assert ("no log-likelihoods" in caplog.text) == (base == "scripted-api")
    assert row(results)["auroc"] == 1.0
    expected = {1.0: 0.8699, 0.0: 0.1301} if base == "scripted" else {1.0: 0.85, 0.0: 0.15}
    for sample in logged(results):
        confidence = sample["envelopes"]["confidence"]
        assert confidence == pytest.approx(expected[sample["exact_match"]], abs=1e-4)


def test_one_greedy_candidate_is_the_upstream_task(tiny_model: Path, tasks: Any) -> None:
    settings = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32", "batch_size": 4}
    plain = evaluate(HFLM(**settings), tasks, "toy_generate", limit=6)
    for lm in (
        SelfCorrectLM(base="hf", candidates=1, temperature=0.0, **settings),
        SelfConsistencyLM(base="hf", candidates=1, temperature=0.0, **settings),
        PTrueLM(base="hf", **settings),
    ):
        found = evaluate(lm, tasks, [TASK, "toy_generate"], limit=6)
        for task in (TASK, "toy_generate"):
            assert row(found, task)["exact_match"] == row(plain, "toy_generate")["exact_match"]
            for a, b in zip(logged(found, task), logged(plain, "toy_generate"), strict=True):
                assert [str(x) for x in answers(a)] == answers(b)


def test_real_sampling_differs_by_candidate(tiny_model: Path, tasks: Any) -> None:
    lm = SelfConsistencyLM(
        base="hf", pretrained=str(tiny_model), device="cpu", dtype="float32", candidates=3,
        temperature=1.0, batch_size=8,
    )  # fmt: skip
    pools = [s["envelopes"]["candidates"] for s in logged(evaluate(lm, tasks, limit=4))]
    assert all(len(set(pool)) > 1 for pool in pools)


def test_seeds_are_told_to_servers() -> None:
    class TemplateAPI(Scripted):
        pass

    lm = SelfConsistencyLM(base="scripted", candidates=2)
    from requesting import requested

    arguments = ("What is item 1 of test?", {"until": []})
    request = requested("generate_until", arguments, of=("calib_t", 0))
    asked = phases.Phases(TemplateAPI(), "x")
    one, two = (asked._sampled(request, n, 0.7).args[1] for n in (0, 1))
    assert one["seed"] != two["seed"] and one["do_sample"] and one["temperature"] == 0.7
    assert "seed" not in lm.phases._sampled(request, 0, 0.7).args[1]
    assert lm.phases._sampled(request, 0, 0.0).args[1] == {"until": []}


def test_the_cache_goes_on_where_it_was(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sampled candidates too: each has a key of its own."""
    monkeypatch.setattr(phases, "PIECE", 16)
    cache = str(tmp_path / "cache")
    lm = SelfCorrectLM(base="scripted", picker="random", **few)
    lm.base.stop_after = 200
    with pytest.raises(KeyboardInterrupt):
        evaluate(lm, tasks, use_cache=cache)
    again = SelfCorrectLM(base="scripted", picker="random", **few)
    results = evaluate(again, tasks, use_cache=cache)
    assert len(again.base.calls) == 40 * 4 + 40 * 4 - 192
    first = {prompt for _, prompt in lm.base.calls[:160]}
    assert not first & {prompt for _, prompt in again.base.calls}
    third = SelfCorrectLM(base="scripted", picker="random", **few)
    assert row(evaluate(third, tasks, use_cache=cache)) == row(results)
    assert not third.base.calls


def test_wrappers_share_a_pool_and_nothing_else(tasks: Any, tmp_path: Path) -> None:
    """The harness knows an answer by its prompt alone; another wrapper's envelope is not ours."""
    cache = str(tmp_path / "cache")
    found = {}
    for name, lm in {
        "index": SelfCorrectLM(base="scripted", picker="oracle", **few),
        "likelihood": SelfCorrectLM(
            base="scripted", picker="oracle", discriminate="likelihood", **few
        ),
        "consistency": SelfConsistencyLM(base="scripted", **few),
    }.items():
        results = evaluate(lm, tasks, use_cache=cache)
        found[name] = [sample["envelopes"] for sample in logged(results)]
        asked = [kind for kind, prompt in lm.base.calls if "Answer 1:" not in prompt]
        assert len(asked) == (160 if name == "index" else 0)
    pools = [[said["candidates"] for said in each] for each in found.values()]
    assert pools[0] == pools[1] == pools[2]
    assert found["likelihood"][0]["beliefs"] and not found["index"][0]["beliefs"]
    assert not found["consistency"][0]["picks"]


def test_a_model_that_states_nothing_is_refused_at_once(tasks: Any, scripted: Any) -> None:
    with pytest.raises(
        CalibrationError, match=r"Put a wrapper around it .*self_consistency, likelihood"
    ):
        evaluate(scripted(), tasks)


def test_upstream_tasks_and_chat_templates(tasks: Any) -> None:
    lm = SelfCorrectLM(base="scripted", picker="oracle", **few)
    results = evaluate(lm, tasks, [TASK, "toy_generate"], apply_chat_template=True)
    assert row(results)["dg_diff"] > 0
    chosen = [prompt for _, prompt in lm.base.calls if "Possible answers" in prompt]
    assert len(chosen) == 160
    assert all(prompt.startswith("<user>Question: What is item") for prompt in chosen)
    for sample in logged(results, "toy_generate"):
        assert Envelope.from_text(sample["resps"][0][0]) is None


def test_examples_are_solved_with_the_models_own_mistakes(tasks: Any) -> None:
    lm = SelfCorrectLM(base="scripted", picker="oracle", shots=2, wrong="nonsense", **few)
    evaluate(lm, tasks, limit=2)
    prompt = next(p for _, p in lm.base.calls if "Possible answers" in p)
    before, _, _ = prompt.rpartition("Possible answers")
    assert before.count("Possible answers") == 2 and "What is item 1 of train?" in before
    assert right(0, "train") in before and right(1, "train") in before
    with pytest.raises(InvalidInputError, match="`shots` must be at most the 4 solved"):
        evaluate(SelfCorrectLM(base="scripted", shots=9), tasks, limit=1)


def test_templates(tasks: Any, tmp_path: Path) -> None:
    (tmp_path / "toy_generate.jinja").write_text(
        "Which of them? Question: {{ question }}\n"
        "{% for c in candidates %}Answer {{ loop.index }}: {{ c }}\n{% endfor %}"
    )
    lm = SelfCorrectLM(base="scripted", picker="oracle", template=str(tmp_path), **few)
    assert row(evaluate(lm, tasks))["norm_gain"] == pytest.approx(1)
    assert any(p.startswith("Which of them? Question") for _, p in lm.base.calls)
    bad = tmp_path / "bad.jinja"
    bad.write_text("{{ nothing }}")
    with pytest.raises(InvalidInputError, match="`template` must be a jinja template of cand"):
        evaluate(SelfCorrectLM(base="scripted", template=str(bad), **few), tasks, limit=1)
    with pytest.raises(InvalidInputError, match="`template` must be a jinja file"):
        SelfCorrectLM(base="scripted", template=str(tmp_path / "none"))


def test_chain_of_thought(tasks: Any) -> None:
    lm = SelfCorrectLM(base="scripted", picker="oracle", chain_of_thought=True, **few)
    assert row(evaluate(lm, tasks))["norm_gain"] == pytest.approx(1)


def test_what_is_refused() -> None:
    for cls, options, match in (
        (SelfCorrectLM, {"discriminate": "best"}, "`discriminate` must be index"),
        (SelfCorrectLM, {"permutations": 0}, "`permutations` must be a whole number"),
        (SelfCorrectLM, {"candidates": 0}, "`candidates` must be a whole number"),
        (SelfCorrectLM, {"temperature": -1}, "`temperature` must be 0 or more"),
        (SelfCorrectLM, {"shots": -1}, "`shots` must be"),
        (SelfCorrectLM, {"chain_of_thought": True, "discriminate": "verbatim"}, "false with this"),
        (SelfConsistencyLM, {"candidates": 1.5}, "`candidates` must be a whole number"),
        (PTrueLM, {"ask": "politely"}, "`ask` must be auto"),
        (PTrueLM, {"base": ""}, "`base` must be"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            cls(**{"base": "scripted", **options})
