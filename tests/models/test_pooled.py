"""`--model likelihood`, `semantic_entropy` and `beliefs`: what they state of the same answers."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scripted_base
from command import run
from lm_eval import simple_evaluate
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM
from logged_lines import save_run
from release import answers
from requesting import requested

from lm_eval_calibration.calibrators import Training, fit
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.agreement import agreement
from lm_eval_calibration.models.beliefs import BeliefsLM
from lm_eval_calibration.models.likelihood import LikelihoodLM
from lm_eval_calibration.models.semantic_entropy import SemanticEntropyLM
from lm_eval_calibration.models.shared.token_reading import TokenReader
from lm_eval_calibration.predictions import Predictions

TASK = "calib_toy_generate"


def settings(model: Path) -> dict[str, Any]:
    return {"pretrained": str(model), "device": "cpu", "dtype": "float32", "batch_size": 4}


def evaluate(lm: Any, tasks: Any, limit: int = 12, **options: Any) -> dict[str, Any]:
    options |= {"task_manager": tasks, "limit": limit, "bootstrap_iters": 50}
    return dict(simple_evaluate(model=lm, tasks=[TASK], **options))


def envelopes(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample["envelopes"] for sample in results["samples"][TASK]]


def test_likelihoods_are_those_of_the_model(tiny_model: Path, tasks: Any) -> None:
    results = evaluate(LikelihoodLM(base="hf", **settings(tiny_model)), tasks, limit=3)
    lm = HFLM(**settings(tiny_model))
    for sample in results["samples"][TASK]:
        (text,) = (json.loads(sample["resps"][0][0])["answer"],)
        prompt = sample["arguments"][0][0]
        ((total, _),) = lm.loglikelihood(
            [requested("loglikelihood", (prompt, text), 0)], disable_tqdm=True
        )
        count = len(lm._encode_pair(prompt, text)[1])
        told = sample["envelopes"]["told"]
        assert sample["envelopes"]["confidence"] == told["sequence"]
        assert math.log(told["sequence"]) == pytest.approx(total, rel=1e-4)
        assert math.log(told["normalised"]) == pytest.approx(total / count, rel=1e-4)
        assert told["least"] <= told["normalised"] and 0 <= told["margin"] <= 1 > told["entropy"]


def test_hf_fast_tells_the_likelihoods_of_the_tokens_that_it_wrote(
    tiny_model: Path, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TokenReader, "_pass", None)  # (over what was written)
    lm = HFLM(**settings(tiny_model))
    letters = set(lm.tok_encode("abcdefgh"))  # (a random model would write bytes that are no text)
    others = [n for n in range(len(lm.tokenizer)) if n not in letters]
    results = evaluate(
        LikelihoodLM(base="hf-fast", **settings(tiny_model)), tasks, limit=3,
        gen_kwargs={"suppress_tokens": others, "max_gen_toks": 9},
    )  # fmt: skip
    for sample in results["samples"][TASK]:
        told, answer = sample["envelopes"]["told"], json.loads(sample["resps"][0][0])["answer"]
        assert len(answer) == 9
        pair = (sample["arguments"][0][0], answer)
        ((total, _),) = lm.loglikelihood([requested("loglikelihood", pair, 0)], disable_tqdm=True)
        assert math.log(told["sequence"]) == pytest.approx(total, rel=1e-4)
        assert math.log(told["normalised"]) == pytest.approx(total / 9, rel=1e-4)


def test_what_hf_fast_leaves_to_hf_is_read_again(
    tiny_model: Path, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for reason in (None, "it is left to `hf`"):
        lm = LikelihoodLM(base="hf-fast" if reason else "hf", **settings(tiny_model))
        for way in lm.base._generation.ways if reason else ():
            way.reason = reason
        found.append([e["told"] for e in envelopes(evaluate(lm, tasks, limit=3))])
    assert found[0] == found[1]


def test_an_encoder_decoder_model_too(tiny_t5: Path, tasks: Any) -> None:
    results = evaluate(LikelihoodLM(base="hf", score="least", **settings(tiny_t5)), tasks, limit=3)
    lm = HFLM(**settings(tiny_t5))
    for sample in results["samples"][TASK]:
        text = json.loads(sample["resps"][0][0])["answer"]
        if not text.strip():
            continue
        pair = (sample["arguments"][0][0], text)
        ((total, _),) = lm.loglikelihood([requested("loglikelihood", pair, 0)], disable_tqdm=True)
        told = sample["envelopes"]["told"]
        assert math.log(told["sequence"]) == pytest.approx(total, rel=1e-3)


def test_a_score_ranks_and_is_no_probability(tiny_model: Path, tasks: Any, tmp_path: Path) -> None:
    lm = LikelihoodLM(base="hf", score="entropy", **settings(tiny_model))
    results = evaluate(lm, tasks)
    row = results["results"][TASK]
    assert {"auroc,none", "aurc,none", "prr,none"} <= set(row) and "ece,none" not in row
    assert all(
        e["confidence"] is None and e["score"] == e["told"]["entropy"] for e in envelopes(results)
    )


def test_a_map_makes_a_probability_of_a_score(tiny_model: Path, tasks: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = Predictions.from_scores(rng.normal(size=200), rng.random(200) < 0.4)
    fit("platt", scores, Training()).save_pretrained(tmp_path / "map")
    options = {"score": "entropy", "calibrator": str(tmp_path / "map"), **settings(tiny_model)}
    results = evaluate(LikelihoodLM(base="hf", **options), tasks)
    assert "ece,none" in results["results"][TASK]
    assert all(0 <= e["confidence"] <= 1 and e["score"] is None for e in envelopes(results))


def test_a_base_that_has_the_sum_alone(tasks: Any) -> None:
    told = [e["told"] for e in envelopes(evaluate(LikelihoodLM(base="scripted"), tasks))]
    assert all(t.keys() == {"sequence", "normalised", "least"} for t in told)
    assert all(t["normalised"] == pytest.approx(t["least"]) for t in told)


@pytest.mark.parametrize(
    ("lm", "why"),
    [
        (lambda: LikelihoodLM(base="scripted", score="luck"), "`score` must be sequence, normalised"),
        (lambda: LikelihoodLM(base="scripted", score="margin"), "one that this base allows"),
        (lambda: LikelihoodLM(base="scripted-api"), "needs a base with log-probabilities"),
        (lambda: SemanticEntropyLM(base="scripted", judge="me"), "`judge` must be filter, embeddings"),
        (lambda: SemanticEntropyLM(base="scripted", score="p"), "`score` must be cluster_mass"),
        (lambda: SemanticEntropyLM(base="scripted", candidates=0), "`candidates` must be"),
        (lambda: SemanticEntropyLM(base="scripted", judge="model", threshold=2), "`threshold` must"),
        (lambda: BeliefsLM(base="scripted", beliefs="luck"), "`beliefs` must be consistency, like"),
        (lambda: BeliefsLM(base="scripted", beliefs="p_true", states="margin"), "`states` must be"),
    ],
)  # fmt: skip
def test_what_cannot_be(lm: Callable[[], Any], why: str, tasks: Any) -> None:
    with pytest.raises(InvalidInputError, match=why):
        evaluate(lm(), tasks)


def test_a_calibrator_of_what_the_task_finds_out_is_refused(tmp_path: Path) -> None:
    beliefs = Predictions.from_confidences([0.2, 0.9] * 20, [0, 1] * 20)
    fit("platt", beliefs, Training()).save_pretrained(tmp_path / "map")
    with pytest.raises(InvalidInputError, match="lm-calib score RUN --calibrator"):
        SemanticEntropyLM(base="scripted", calibrator=str(tmp_path / "map"))


def test_clusters_by_the_task_s_filter(tasks: Any) -> None:
    results = evaluate(SemanticEntropyLM(base="scripted", candidates=5, weights=True), tasks)
    for sample in results["samples"][TASK]:
        e, (answer, *_) = sample["envelopes"], map(str, answers(sample))
        share = e["filtered"].count(answer) / 5
        assert e["confidence"] == e["told"]["cluster_mass"] == e["told"]["consistency"] == share
        counts = np.unique(e["filtered"], return_counts=True)[1] / 5
        entropy = float((counts * np.log(counts)).sum())
        assert e["told"]["discrete_semantic_entropy"] == pytest.approx(entropy)
        assert e["told"]["semantic_entropy"] <= 0 and 0 <= e["told"]["weighted_mass"] <= 1
    row = results["results"][TASK]
    assert {"ece,none", "gen,none", "majority,none"} <= set(row)


@register_model("judging")
class Judging(scripted_base.Scripted):
    """Says that answers are the same whose last words are."""

    def reply(self, prompt: str) -> str:
        if "say the same" not in prompt:
            return super().reply(prompt)
        lines = [line for line in prompt.splitlines() if line.startswith("Possible answer")]
        first, second = (line.split(":")[1].split()[-1] for line in lines)
        return "Yes." if first == second else "No, they differ."


def test_the_model_itself_may_judge(tasks: Any) -> None:
    lm = SemanticEntropyLM(base="judging", candidates=4, judge="model")
    for e in envelopes(evaluate(lm, tasks)):
        assert len(e["clusters"]) == 5
        assert e["confidence"] == agreement(e["clusters"])["cluster_mass"]
        last = [text.split()[-1] for text in e["filtered"]]
        assert len(set(e["clusters"][1:])) == len(set(last))


def test_replies_that_say_neither_are_counted(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lm_eval"):
        evaluate(SemanticEntropyLM(base="scripted", candidates=4, judge="model"), tasks)
    assert "are neither yes nor no; they are taken for no" in caplog.text


def test_embeddings_judge(toy_encoder: Any, tasks: Any) -> None:
    """The toy encoder sees whether a text says `wrong`."""
    lm = SemanticEntropyLM(base="scripted", candidates=4, judge="embeddings", encoder="toy")
    assert {e["confidence"] for e in envelopes(evaluate(lm, tasks))} <= {0.25 * n for n in range(5)}


@pytest.fixture(scope="module")
def several(tasks: Any) -> dict[str, Any]:
    every = "consistency+likelihood+semantic_entropy+p_true+verbalized"
    return evaluate(BeliefsLM(base="scripted", candidates=4, beliefs=every), tasks, limit=40)


def test_one_pool_has_every_belief(several: dict[str, Any]) -> None:
    names = {"consistency", "sequence", "normalised", "least", "cluster_mass", "p_true", "verbalized",
             "discrete_semantic_entropy", "semantic_entropy", "weighted_mass", "sequence_semantic_entropy"}  # fmt: skip
    for e in envelopes(several):
        assert set(e["told"]) == names
        assert e["confidence"] == e["told"]["consistency"] == e["told"]["cluster_mass"]
        assert e["told"]["verbalized"] in (0.85, 0.15)


def test_they_are_compared_by_one_command(several: dict[str, Any], tmp_path: Path) -> None:
    folder = save_run(tmp_path, several)
    printed = run("beliefs", folder, "--replicates", 50).output
    assert "40 answers" in printed and "p_true" in printed and "less the best's" in printed
    told = json.loads(run("beliefs", folder, "--replicates", 50, "--json").output)["beliefs"][0]
    by = told["beliefs"]
    assert by["p_true"]["auroc"] == 1.0 and by["verbalized"]["auroc"] == 1.0  # (they know)
    assert by["semantic_entropy"]["ece"] is None and by["semantic_entropy"]["ece_mapped"] >= 0
    assert (
        by["consistency, cluster_mass"]["auroc_difference"]
        <= 0
        <= by["consistency, cluster_mass"]["p_value"]
    )
    for how in ("--csv", "--markdown"):
        assert "sequence_semantic_entropy" in run("beliefs", folder, "--replicates", 50, how).output


def test_differences_are_not_tested_on_a_handful_of_answers(tasks: Any, tmp_path: Path) -> None:
    lm = BeliefsLM(base="scripted", candidates=3)
    folder = save_run(tmp_path, evaluate(lm, tasks, limit=12))
    printed = run("beliefs", folder, "--replicates", 20).output
    assert "differences are not tested" in printed and "*" not in printed
    told = json.loads(run("beliefs", folder, "--replicates", 20, "--json").stdout)["beliefs"][0]
    assert {each["p_value"] for each in told["beliefs"].values()} == {None}


def test_runs_without_beliefs_by_name(generated_folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="No beliefs were logged by name"):
        run("beliefs", generated_folder)
    with pytest.raises(InvalidInputError, match="`--map` must be isotonic or platt"):
        run("beliefs", generated_folder, "--map", "beta")


def test_a_logged_score_is_scored_as_one(tasks: Any, tmp_path: Path) -> None:
    lm = SemanticEntropyLM(base="scripted", candidates=4, score="discrete_semantic_entropy")
    results = evaluate(lm, tasks, limit=40)
    printed = run("score", save_run(tmp_path, results), "--all").output
    assert "auroc" in printed and "prr" in printed and "ece" not in printed
    live = results["results"][TASK]["auroc,none"]
    assert f"{live:.4f}" in printed
    assert "no probabilities" in " ".join(run("score", tmp_path).stderr.split())
    crossed = run("score", tmp_path, "--cross_fit", "platt")
    assert "ece" in crossed.output and "mapped crosswise" in " ".join(crossed.stderr.split())
    with pytest.raises(InvalidInputError, match="`--cross_fit` must be without --calibrator"):
        run("score", tmp_path, "--cross_fit", "platt", "--calibrator", "x")


def test_samples_without_tokens_do_not_count_where_samples_are_weighted() -> None:
    some = agreement([0, 0, 1, 2], [(-1.0, 2.0), (0.0, 0.0), (-3.0, 2.0)])
    assert some["cluster_mass"] == pytest.approx(1 / 3)
    assert (
        some["weighted_mass"] == agreement([0, 0, 2], [(-1.0, 2.0), (-3.0, 2.0)])["weighted_mass"]
    )
    assert "weighted_mass" not in agreement([0, 0], [(0.0, 0.0)])


DRAWN: list[int] = []


@register_model("noting")
class Noting(scripted_base.Scripted):
    """Notes the numbers of the samples that it is asked for."""

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        DRAWN.extend(request.sample for request in requests)
        return super().generate_until(requests, **options)


@register_model("one-voice")
class OneVoice(scripted_base.Scripted):
    """Says the same to everything."""

    def reply(self, prompt: str) -> str:
        return "always this"


def test_a_sampled_answer_is_none_of_its_pool(tasks: Any) -> None:
    """With a temperature of the run's own the answer is sample 0, and the pool begins at 1."""
    DRAWN.clear()
    lm = SemanticEntropyLM(base="noting", candidates=3)
    simple_evaluate(
        model=lm, tasks=[TASK], task_manager=tasks, limit=2, bootstrap_iters=0,
        gen_kwargs="temperature=0.9,do_sample=True",
    )  # fmt: skip
    assert DRAWN == [0, 0, 1, 2, 3, 1, 2, 3]


@pytest.mark.parametrize("states", ["sequence", "p_true", "verbalized", "least"])
def test_whatever_is_stated_all_are_logged(states: str, tasks: Any) -> None:
    every = "consistency+likelihood+semantic_entropy+p_true+verbalized"
    lm = BeliefsLM(base="scripted", candidates=3, beliefs=every, states=states)
    for e in envelopes(evaluate(lm, tasks, limit=4)):
        assert {"consistency", "semantic_entropy", "p_true", "sequence"} <= set(e["told"])
        assert e["confidence"] == e["told"][states]


def test_beliefs_of_another_judge_are_logged(toy_encoder: Any, tasks: Any, tmp_path: Path) -> None:
    lm = SemanticEntropyLM(base="scripted", candidates=3, judge="embeddings", encoder="toy")
    results = evaluate(lm, tasks, limit=20)
    assert all({"cluster_mass", "consistency"} <= set(e["told"]) for e in envelopes(results))
    assert "cluster_mass" in run("beliefs", save_run(tmp_path, results), "--replicates", 20).output


def test_no_pool_is_drawn_where_none_is_needed(tasks: Any) -> None:
    lm = BeliefsLM(base="scripted", beliefs="likelihood+p_true")
    for e in envelopes(evaluate(lm, tasks, limit=3)):
        assert e["candidates"] == [] and e["confidence"] == e["told"]["sequence"]


def test_a_calibrator_of_several_beliefs_is_refused() -> None:
    with pytest.raises(
        InvalidInputError, match="`calibrator` must be left out: `beliefs` states several"
    ):
        BeliefsLM(base="scripted", calibrator="x")


def test_samples_that_are_all_alike_are_said(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="lm_eval"):
        evaluate(SemanticEntropyLM(base="one-voice", candidates=3), tasks, limit=4)
    assert "are alike, so that agreement says nothing" in caplog.text


def test_metrics_of_degree_judge_no_confidence(tasks: Any) -> None:
    """Not even of the answers that happen to score 0 or 1."""
    found = tasks.load([TASK])["tasks"][TASK]
    found.build_all_requests(limit=3, rank=0, world_size=1)
    texts = LikelihoodLM(base="scripted").generate_until(found.instances)
    for instance, text in zip(found.instances, texts, strict=True):
        instance.resps = [text]
    scores = iter([0.0, 0.5, 1.0] * 10)
    found._score = lambda *_, **__: next(scores)
    found.apply_filters()
    assert found._of_degree
    (first, *_) = found.unpacked([Envelope.from_text(text) for text in texts])
    assert found._confidence_rows(next(iter(first.values()))) == {}
