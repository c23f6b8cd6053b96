"""Another model, or another format of prompts, than a calibrator was fitted on."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from command import run
from lm_eval import evaluate, simple_evaluate
from lm_eval.loggers import EvaluationTracker
from lm_eval.models.huggingface import HFLM

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.held_out import OtherModelError, OtherPromptsError
from lm_eval_calibration.models.calibrated import CalibratedLM
from lm_eval_calibration.models.shared.fingerprint import weights_of

TASK = "toy_norm"
CHAT = {"apply_chat_template": True}


@pytest.fixture(scope="module")
def ts(tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temperature of the tiny model's pass over a task's training documents, without shots."""
    folder = tmp_path_factory.mktemp("live") / "ts"
    run(
        "fit", "temperature", "--model", "hf", "--model_args",
        f"pretrained={tiny_model},dtype=float32", "--device", "cpu", "--tasks", TASK,
        "--include_path", task_folder, "--folds", "3", "--output", folder,
    )  # fmt: skip
    return folder


def logged(lm: Any, tasks: Any, folder: Path, **options: Any) -> Path:
    """A run of `hf` as `lm_eval` leaves it."""
    tracker = EvaluationTracker(output_path=str(folder))
    results = simple_evaluate(
        model=lm, tasks=[TASK], task_manager=tasks, bootstrap_iters=0, limit=6,
        evaluation_tracker=tracker, **options,
    )  # fmt: skip
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name=TASK, samples=samples[TASK])
    return folder


@pytest.fixture(scope="module")
def runs(tiny_lm: Any, tasks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Logged runs of the tiny model, by how documents were put to it."""
    folder = tmp_path_factory.mktemp("runs")
    asked: dict[str, dict[str, Any]] = {
        "plain": {},
        "shots": {"num_fewshot": 2},
        "chat": {**CHAT, "num_fewshot": 2},
        "system": {"system_instruction": "Be brief."},
    }
    return {name: logged(tiny_lm, tasks, folder / name, **more) for name, more in asked.items()}


def make(model: Path, calibrator: Path, **options: Any) -> CalibratedLM:
    given = {"dtype": "float32", **options}
    return CalibratedLM(
        base="hf", calibrator=str(calibrator), pretrained=str(model), device="cpu", batch_size=8,
        **given,
    )  # fmt: skip


def changed(model: Path, folder: Path) -> Path:
    """The model, trained a little further."""
    shutil.copytree(model, folder)
    lm = HFLM(pretrained=str(model), device="cpu", dtype="float32")
    with torch.no_grad():
        lm.model.model.layers[0].mlp.up_proj.weight += 1e-3
    lm.model.save_pretrained(folder)
    return folder


def ask(lm: Any, tasks: Any, **options: Any) -> dict[str, Any]:
    return dict(
        simple_evaluate(
            model=lm,
            tasks=[f"calib_{TASK}"],
            task_manager=tasks,
            bootstrap_iters=0,
            limit=3,
            **options,
        )
    )


def test_the_same_model_in_the_same_way(
    tiny_model: Path, ts: Path, tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    config = json.loads((ts / "config.json").read_text())
    assert config["base_model"] == str(tiny_model) and len(config["base_fingerprint"]) == 129
    (prompts,) = config["prompts"]
    assert prompts == {
        "tasks": [TASK], "shots": 0, "chat_template": "", "system_instruction": "",
        "options": "texts", "beliefs": "log-likelihoods",
    }  # fmt: skip
    with caplog.at_level(logging.WARNING, logger="lm_eval.lm_eval_calibration"):
        for dtype in ("float32", "bfloat16"):
            found = ask(make(tiny_model, ts, dtype=dtype), tasks)["config"]["calibrator"]
            assert found["other"] == []
    assert "nothing is known" not in caplog.text and "was fitted" not in caplog.text


def test_a_run_keeps_what_a_fit_on_its_samples_needs(
    tiny_model: Path, tiny_lm: Any, ts: Path, runs: dict[str, Path], tasks: Any, tmp_path: Path
) -> None:
    live = Calibrator.from_pretrained(ts).training
    run("fit", "temperature", "--samples", runs["plain"], "--folds", "3", "--output", tmp_path)
    found = Calibrator.from_pretrained(tmp_path).training
    assert found.fingerprint == weights_of(tiny_lm) == live.fingerprint
    assert found.prompts == live.prompts
    lm = make(tiny_model, tmp_path, allow_seen=True)
    assert ask(lm, tasks)["config"]["calibrator"]["other"] == []


@pytest.mark.parametrize("name", ["plain", "chat", "system"])
def test_without_our_record_the_harness_says_the_same(
    name: str, tiny_lm: Any, runs: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(runs[name], tmp_path / "run")
    (results,) = (tmp_path / "run").rglob("results_*.json")
    text = json.loads(results.read_text())
    assert text.pop("lm_eval_calibration")["fingerprint"] == weights_of(tiny_lm)
    results.write_text(json.dumps(text))
    trainings = []
    for number, folder in enumerate((runs[name], tmp_path / "run")):
        out = tmp_path / str(number)
        run("fit", "temperature", "--samples", folder, "--folds", "3", "--output", out)
        trainings.append(Calibrator.from_pretrained(out).training)
    ours, theirs = (training.prompts[TASK] for training in trainings)
    for field in ("shots", "chat_template", "system_instruction", "multiturn"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert trainings[1].fingerprint == ""


def test_further_training_under_the_same_path_is_refused(
    tiny_model: Path, ts: Path, runs: dict[str, Path], tasks: Any, tmp_path: Path
) -> None:
    latest = tmp_path / "latest"
    latest.symlink_to(tiny_model)
    make(latest, ts)
    latest.unlink()
    latest.symlink_to(changed(tiny_model, tmp_path / "step-2"))
    with pytest.raises(
        OtherModelError, match=r"fitted for `.*`, and the weights of `.*latest` are"
    ):
        make(latest, ts)
    marked = ask(make(latest, ts, allow_other=True), tasks)["config"]["calibrator"]["other"]
    assert len(marked) == 1 and "the weights of" in marked[0]
    lm = HFLM(pretrained=str(latest), device="cpu", dtype="float32")
    moved = logged(lm, tasks, tmp_path / "moved")
    with pytest.raises(OtherModelError, match=r"are others\..*--allow-other"):
        run("score", moved, "--calibrator", ts)
    scored = run("score", moved, "--calibrator", ts, "--allow-other", "--metrics", "ece", "--json")
    assert "are others" in str(json.loads(scored.stdout)["scores"][0]["notes"])
    assert "are others" in scored.stderr
    run("score", runs["plain"], "--calibrator", ts, "--metrics", "ece")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_fewshot": 2}, "was fitted zero-shot; `toy_norm` is asked with 2 shots"),
        (CHAT, "was fitted on plain prompts; `toy_norm` is asked in a chat template"),
        (
            {**CHAT, "num_fewshot": 1},
            "was fitted zero-shot and on plain prompts; `toy_norm` is asked with 1 shot and in a chat",
        ),
        (
            {"system_instruction": "Be brief."},
            "was fitted without a system instruction; `toy_norm` is asked with a system instruction",
        ),
    ],
)
def test_other_prompts_are_refused_before_any_is_scored(
    options: dict[str, Any], words: str, tiny_model: Path, ts: Path, tasks: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lm = make(tiny_model, ts)
    with monkeypatch.context() as patch:
        patch.setattr(lm.base, "loglikelihood", lambda *_, **__: pytest.fail("asked"))
        with pytest.raises(OtherPromptsError, match=words):
            ask(lm, tasks, **options)
    found = ask(make(tiny_model, ts, allow_other=True), tasks, **options)
    (mark,) = found["config"]["calibrator"]["other"]
    assert words in mark


def test_a_chat_template_is_refused_before_the_model_is_loaded(ts: Path, tasks: Any) -> None:
    arguments = {"base": "hf", "calibrator": str(ts), "pretrained": "not-there"}
    for options in (CHAT, {"system_instruction": "Be brief."}):
        with pytest.raises(OtherPromptsError, match=r"was fitted .*; this run asks"):
            simple_evaluate(
                model="calibrated",
                model_args=arguments,
                tasks=[TASK],
                task_manager=tasks,
                **options,
            )


@pytest.mark.parametrize("name", ["shots", "chat", "system"])
def test_offline_likewise(name: str, ts: Path, runs: dict[str, Path]) -> None:
    with pytest.raises(OtherPromptsError, match=r"`toy_norm` is asked with .*--allow-other"):
        run("score", runs[name], "--calibrator", ts)
    scored = run(
        "score", runs[name], "--calibrator", ts, "--allow-other", "--metrics", "ece", "--json"
    )
    assert "was fitted " in str(json.loads(scored.stdout)["scores"][0]["notes"])


def test_shots_in_one_turn_are_not_shots_as_turns(
    tiny_model: Path, runs: dict[str, Path], tasks: Any, tmp_path: Path
) -> None:
    run("fit", "temperature", "--samples", runs["chat"], "--folds", "3", "--output", tmp_path)
    lm = make(tiny_model, tmp_path, allow_seen=True)
    same = {**CHAT, "num_fewshot": 2}
    assert ask(lm, tasks, **same)["config"]["calibrator"]["other"] == []
    with pytest.raises(OtherPromptsError, match=r"with shots as turns of the chat; .* in one turn"):
        ask(lm, tasks, **same, fewshot_as_multiturn=False)


def test_requests_from_the_cache_are_compared_too(
    tiny_model: Path, ts: Path, tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lm_eval.caching.cache.PATH", str(tmp_path))
    cached = {**CHAT, "cache_requests": True}
    ask(make(tiny_model, ts, allow_other=True), tasks, **cached)
    with pytest.raises(OtherPromptsError, match="in a chat template"):
        ask(make(tiny_model, ts), tasks, **cached)


def test_evaluate_alone_is_compared_and_recorded(tiny_model: Path, ts: Path, tasks: Any) -> None:
    lm = make(tiny_model, ts)
    found = evaluate(lm, tasks.load([TASK]), limit=2, bootstrap_iters=0)
    record = found["lm_eval_calibration"]
    assert record["fingerprint"] == weights_of(lm.base)
    assert record["prompts"][0]["beliefs"] == "calibrated"
    with pytest.raises(OtherPromptsError, match="in a chat template"):
        evaluate(lm, tasks.load([TASK]), limit=2, bootstrap_iters=0, apply_chat_template=True)


def test_stated_beliefs_are_not_scored_ones(
    tiny_model: Path, runs: dict[str, Path], tasks: Any, tmp_path: Path
) -> None:
    shutil.copytree(runs["plain"], tmp_path / "run")
    (results,) = (tmp_path / "run").rglob("results_*.json")
    results.write_text(results.read_text().replace('"log-likelihoods"', '"verbalized"'))
    out = tmp_path / "ts"
    run("fit", "temperature", "--samples", tmp_path / "run", "--folds", "3", "--output", out)
    with pytest.raises(
        OtherPromptsError, match=r"fitted by verbalized; .* asked by log-likelihoods"
    ):
        ask(make(tiny_model, out, allow_seen=True), tasks)
