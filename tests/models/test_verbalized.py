"""Multiple choice by stated probabilities, through the harness and its twins."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import numpy as np
import pytest
from fake_api import FakeApi, first_ones
from lm_eval import simple_evaluate
from logged_lines import save_run
from release import OLD, answers
from scripted_base import right, stated

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared import phases
from lm_eval_calibration.models.verbalized import VerbalizedLM, _room
from lm_eval_calibration.verbal.labels import Labels

TASK = "calib_toy_plain"


def evaluate(lm: Any, tasks: Any, names: Any = TASK, **options: Any) -> dict[str, Any]:
    names = [names] if isinstance(names, str) else names
    return dict(
        simple_evaluate(model=lm, tasks=names, task_manager=tasks, bootstrap_iters=100, **options)
    )


def row(results: dict[str, Any], task: str = TASK) -> dict[str, float]:
    found = results["results"][task].items()
    return {key.removesuffix(",none"): value for key, value in found if key.endswith(",none")}


def logged(results: dict[str, Any], task: str = TASK) -> list[dict[str, Any]]:
    return list(results["samples"][task])


def test_what_is_stated_is_what_is_scored(tasks: Any) -> None:
    lm = VerbalizedLM(base="scripted")
    results = evaluate(lm, tasks)
    found = row(results)
    assert len(lm.base.calls) == 40 and found["invalid_rate"] == 0
    assert 0.3 < found["acc"] == found["acc_valid"]
    assert found["nll"] == pytest.approx(found["nll_valid"])
    zeros = []
    for sample in logged(results):
        said = sample["stated"]
        p = np.array(said["probabilities"])
        scores = [float(score) for score, _ in answers(sample)]
        np.testing.assert_allclose(scores, np.log(np.maximum(p, 1e-4)), atol=1e-9)
        assert said["status"] == "valid" and len(said["replies"]) == 1
        gold = sample["doc"]["answer"]
        assert sample["acc"] == float(p.argmax() == gold)
        assert sample["zero_on_gold_rate"] == float(p[gold] == 0)
        zeros.append(np.mean(p == 0))
    assert found["zero_rate"] == pytest.approx(np.mean(zeros)) and found["zero_rate"] > 0
    assert "stated" not in found


def test_other_words(tasks: Any) -> None:
    """In percent and prose: the same figures, and every reply counted as repaired."""
    plain, prose = (
        row(evaluate(VerbalizedLM(base="scripted", speech=s), tasks)) for s in ("json", "prose")
    )
    assert prose["repaired_rate"] == 1 and plain["repaired_rate"] == 0
    assert prose["acc"] == plain["acc"] and prose["ece"] == pytest.approx(plain["ece"])


def test_a_shy_model_is_asked_again(tasks: Any) -> None:
    lm = VerbalizedLM(base="scripted", speech="shy")
    results = evaluate(lm, tasks)
    assert row(results)["invalid_rate"] == 0 and len(lm.base.calls) == 80
    (said,) = {s["stated"]["status"] for s in logged(results)}
    assert said == "repaired"
    assert all(len(s["stated"]["replies"]) == 2 for s in logged(results))
    assert all("2 replies cannot be read" in s["stated"]["notes"][-1] for s in logged(results))


def test_a_mute_model_is_uniform_and_counted(tasks: Any) -> None:
    results = evaluate(VerbalizedLM(base="scripted", speech="mute"), tasks)
    found = row(results)
    assert found["invalid_rate"] == 1 and "acc_valid" not in found and "zero_rate" not in found
    for sample in logged(results):
        p = sample["stated"]["probabilities"]
        assert p == pytest.approx([1 / len(p)] * len(p))
        assert sample["nll"] == pytest.approx(np.log(len(p)))


def test_several_replies_are_averaged(tasks: Any) -> None:
    lm = VerbalizedLM(base="scripted", samples=3)
    results = evaluate(lm, tasks, limit=5)
    assert len(lm.base.calls) == 15
    assert all(len(s["stated"]["replies"]) == 3 for s in logged(results))
    assert lm._heat == 0.7 and VerbalizedLM(base="scripted")._heat == 0


@pytest.mark.parametrize("style", ["top1", "topk", "linguistic"])
def test_styles(tasks: Any, style: str) -> None:
    lm = VerbalizedLM(base="scripted", style=style, guesses=2)
    results = evaluate(lm, tasks)
    assert row(results)["invalid_rate"] == 0
    assert row(results)["acc"] == row(evaluate(VerbalizedLM(base="scripted"), tasks))["acc"]
    for sample in logged(results):
        p = sample["stated"]["probabilities"]
        assert sum(p) == pytest.approx(1)
        if style == "linguistic":
            assert max(p) == 0.75


def test_options_in_the_context_and_mutual_information(tasks: Any) -> None:
    """Every shape of multiple choice can be asked; what is asked without a question says nothing."""
    names = ["calib_toy_mutual", "calib_toy_inputs", "toy_norm"]
    results = evaluate(VerbalizedLM(base="scripted"), tasks, names)
    mutual = row(results, "calib_toy_mutual")
    assert mutual["acc_mutual_info"] == mutual["acc"]
    assert "acc" in row(results, "calib_toy_inputs") and "stated" not in row(results, "toy_norm")


def test_generation_twins_state_one_probability(tasks: Any) -> None:
    results = evaluate(VerbalizedLM(base="scripted"), tasks, "calib_toy_generate")
    found = row(results, "calib_toy_generate")
    assert found["auroc"] == 1 and found["invalid_rate"] == 0


def test_a_calibrator_maps_generated_answers_too(tasks: Any, tmp_path: Path) -> None:
    parameters = {"temperature": np.array(3.0), "floor": np.array(1e-3)}
    Calibrator("inverse_softmax", {"": parameters}).save_pretrained(tmp_path)
    lm = VerbalizedLM(base="scripted", calibrator=str(tmp_path))
    for sample in logged(evaluate(lm, tasks, "calib_toy_generate"), "calib_toy_generate"):
        stated_one = 0.85 if sample["exact_match"] else 0.15
        odds = (stated_one / (1 - stated_one)) ** (1 / 3)
        assert sample["envelopes"]["confidence"] == pytest.approx(odds / (1 + odds), abs=1e-3)


def test_a_calibrator_of_a_logged_run(tasks: Any, tmp_path: Path) -> None:
    """Fitted on some documents, applied to others, refused on its own."""
    from command import run

    names = ["calib_toy_plain", "calib_toy_default"]
    results = evaluate(VerbalizedLM(base="scripted", skill=0.8), tasks, names[:1], limit=20)
    folder = save_run(tmp_path / "run", results)
    printed = run("fit", "verbalized", "--samples", folder, "--output", tmp_path / "cal").stdout
    for method in ("as stated", "inverse_softmax", "resoftmax", "vector", "platt", "isotonic"):
        assert method in printed
    assert "kept: inverse_softmax: T = " in printed and "0.0001: T " in printed
    calibrator = Calibrator.from_pretrained(tmp_path / "cal")
    assert set(calibrator.parameters[""]) == {"temperature", "floor"}
    with pytest.raises(SeenDocumentsError, match="20 of 40"):
        evaluate(VerbalizedLM(base="scripted", calibrator=str(tmp_path / "cal")), tasks)
    lm = VerbalizedLM(base="scripted", skill=0.8, calibrator=str(tmp_path / "cal"), allow_seen=True)
    after = evaluate(lm, tasks)
    temperature, floor = (float(calibrator.parameters[""][n]) for n in ("temperature", "floor"))
    for sample in logged(after):
        p = np.array(sample["stated"]["probabilities"])
        p = np.maximum(p, 1e-4) / np.maximum(p, 1e-4).sum()
        expected = np.maximum(p, floor) ** (1 / temperature)
        found = np.exp([float(score) for score, _ in answers(sample)])
        np.testing.assert_allclose(found / found.sum(), expected / expected.sum(), atol=1e-6)


def test_a_killed_run_goes_on(tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "PIECE", 8)
    cache = str(tmp_path / "cache")
    lm = VerbalizedLM(base="scripted")
    lm.base.stop_after = 20
    with pytest.raises(KeyboardInterrupt):
        evaluate(lm, tasks, use_cache=cache)
    again = VerbalizedLM(base="scripted")
    results = evaluate(again, tasks, use_cache=cache)
    assert len(again.base.calls) == 40 - 16
    third = VerbalizedLM(base="scripted", floor=0.01)
    other = evaluate(third, tasks, use_cache=cache)
    assert not third.base.calls and row(other)["nll"] != row(results)["nll"]
    assert row(other)["acc"] == row(results)["acc"]


@pytest.mark.parametrize("task", ["toy_plain", TASK] if OLD else [TASK])
def test_a_chat_api(tasks: Any, task: str, caplog: pytest.LogCaptureFixture) -> None:
    """The harness cannot run multiple choice on one; with examples as turns before the question."""
    with FakeApi(faults=first_ones(2)) as api, caplog.at_level(logging.ERROR):
        results = simple_evaluate(
            model="verbalized",
            model_args={"base": "local-chat-completions", "model": "m", "base_url": api.url,
                        "num_concurrent": 4},
            tasks=[task], task_manager=tasks, apply_chat_template=True, num_fewshot=2,
            fewshot_as_multiturn=True, bootstrap_iters=0,
        )  # fmt: skip
    assert len(api.payloads) == 40
    assert all(len(p["messages"]) == 5 and p["temperature"] == 0 for p in api.payloads)
    expected = []
    for sample in results["samples"][task]:
        doc = sample["doc"]
        prompt = next(
            p["messages"][-1]["content"] for p in api.payloads
            if f"What is item {sample['doc_id']} of" in p["messages"][-1]["content"]
        )  # fmt: skip
        names, p = stated(prompt, 0.5)
        options = doc["options"] if len(names[0]) == 1 else names
        expected.append(options[int(np.argmax(p))] == right(sample["doc_id"]))
        assert json.dumps(prompt)
    assert results["results"][task]["acc,none"] == pytest.approx(np.mean(expected))


def test_what_is_refused(tasks: Any) -> None:
    for options, match in (
        ({"style": "loud"}, "`style` must be distribution, top1, topk, linguistic"),
        ({"samples": 0}, "`samples` must be a whole number"),
        ({"guesses": 0}, "`guesses` must be a whole number"),
        ({"floor": 0}, "`floor` must be above 0"),
        ({"temperature": -1}, "`temperature` must be 0 or more"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            VerbalizedLM(**{"base": "scripted", **options})
    lm = VerbalizedLM(base="scripted")
    with pytest.raises(InvalidInputError, match="ask its twin, `calib_toy_plain`"):
        evaluate(lm, tasks, "toy_plain", apply_chat_template=True, limit=2)


def test_documents_alike_are_asked_in_one_batch() -> None:
    """The harness's models run requests of other settings one after another."""
    names = [list("ABC"), list("ABCDE"), ["yes", "no"], ["winter", "summer", "spring", "autumn"]]
    assert len({_room(Labels(n)) for n in names}) == 1
    many = Labels([f"intent number {i}" for i in range(150)])
    assert _room(many) >= 150 * 12
