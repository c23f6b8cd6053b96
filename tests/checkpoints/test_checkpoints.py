"""A training's checkpoints: which are whole, which are evaluated, what is shown of them."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from command import lm_eval, run
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_calibration.checkpoints import EvaluationSettings, checkpoints_in, evaluating
from lm_eval_calibration.checkpoints.evaluating import Runner, evaluate
from lm_eval_calibration.errors import CalibrationError, InvalidInputError

OPTIONS = ["--tasks", "calib_toy_norm,calib_toy_plain", "--limit", "20", "--device", "cpu"]


def runner(**model_args: str) -> Runner:
    return Runner(EvaluationSettings(["calib_toy_norm"], model_args=model_args))


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three checkpoints of a model that moves, and one that is being written."""
    folder = tmp_path_factory.mktemp("trained")
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    for step in (100, 20, 3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1.1)
        to = folder / f"checkpoint-{step}"
        model.save_pretrained(to)
        tokenizer.save_pretrained(to)
        (to / "trainer_state.json").write_text("{}")
    shutil.copytree(folder / "checkpoint-3", folder / "checkpoint-200")
    (folder / "checkpoint-200" / "trainer_state.json").unlink()
    (folder / "checkpoint-many").mkdir()
    return folder


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The harness in this process; the model arguments of each of its runs."""
    found: list[str] = []

    def here(command: list[str], folder: Path, _: Any) -> None:
        assert command[1:4] == ["-m", "lm_eval_calibration", "run"]
        folder.mkdir(parents=True, exist_ok=True)
        found.append(command[command.index("--model_args") + 1])
        lm_eval(*command[4:])

    monkeypatch.setattr(evaluating, "_run", here)
    return found


def test_whole_ones_in_the_order_of_steps(trained: Path) -> None:
    found, partial = checkpoints_in(trained)
    assert [each.step for each in found] == [3, 20, 100] and partial == ["checkpoint-200"]
    assert len({each.digest() for each in found}) == 3


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_a_folder_without_any(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInputError, match="DIR"):
        checkpoints_in(tmp_path / name)


def test_the_command_evaluates_each_once(
    trained: Path, task_folder: Path, tmp_path: Path, started: list[str]
) -> None:
    command = [
        "checkpoints",
        trained,
        *OPTIONS,
        "--include_path",
        task_folder,
        "--runs",
        tmp_path / "runs",
    ]
    page = tmp_path / "page.html"
    first = run(*command, "--output", page).output
    assert [Path(each.partition("=")[2]).name for each in started] == [
        "checkpoint-3", "checkpoint-20", "checkpoint-100",
    ]  # fmt: skip
    again = run(*command).output
    assert len(started) == 3 and "0 evaluated in 0.0 minutes, 3 were there" in again
    table = first.partition("checkpoint ")[2].splitlines()[1:4]
    assert [row.split()[0] for row in table] == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]
    assert "left out, not whole: checkpoint-200" in first
    text = page.read_text()
    assert (
        "3 checkpoints, from checkpoint-3 to checkpoint-100" in text and "calib_toy_plain" in text
    )
    more = run(*[("19" if word == "20" else word) for word in command]).output
    assert len(started) == 6 and "3 evaluated" in more  # (other documents are other results)
    (trained_folder := tmp_path / "one").mkdir()
    shutil.copytree(trained / "checkpoint-3", trained_folder / "checkpoint-3")
    single = [trained_folder if word == trained else word for word in command]
    alone = run(*single, "--output", tmp_path / "one.html").output  # (the first save of a training)
    assert len(started) == 6 and "checkpoint-3" in alone
    assert "the only one so far" in (tmp_path / "one.html").read_text()


def test_settings_that_change_figures_are_other_results(trained: Path, tmp_path: Path) -> None:
    first, settings = checkpoints_in(trained)[0][0], EvaluationSettings(["a"], 20)
    settings.finish(tmp_path, first, "CalibrationCallback")
    for name, value in {
        "tasks": ["b"], "limit": None, "num_fewshot": 1, "apply_chat_template": True, "model": "hf",
        "model_args": {"dtype": "float16"},
    }.items():  # fmt: skip
        other = replace(settings, **{name: value})
        assert not other.done(tmp_path, first), name
    assert settings.done(tmp_path, first)
    keyed = replace(settings, model_args={"token": "hf_" + "a1B2c3D4" * 4})
    keyed.finish(tmp_path, first, "a test")
    assert keyed.done(tmp_path, first)
    assert "a1B2c3D4" not in "".join(p.read_text() for p in tmp_path.rglob("evaluated.json"))
    with_args = replace(settings, model_args={"dtype": "float32"})
    with_args.finish(tmp_path, first, "CalibrationCallback")
    assert replace(settings, model_args={"x": "y"}).followed(tmp_path, first) in (
        "",
        "dtype=float32",
    )


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--tasks", "calib_toy_nrom"], "Did you mean"),
        (["--tasks", "calib_toy_generate"], "does not say"),
        (["--tasks", "calib_toy_norm", "--metrics", "eec"], "Did you mean"),
        ([], "Give --tasks"),
    ],
)
def test_mistakes_are_found_before_anything_is_loaded(
    trained: Path, task_folder: Path, tmp_path: Path, started: list[str], more: list[str], why: str
) -> None:
    with pytest.raises(CalibrationError, match=why):
        run("checkpoints", trained, "--include_path", task_folder, "--runs", tmp_path, *more)
    assert started == []


def test_a_run_that_fails_keeps_those_before(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last words are shown; the next call begins where this one ended."""

    def failing(command: list[str], folder: Path, checkpoint: Any) -> None:
        if checkpoint.step == 20:
            real(
                [command[0], "-c", "print('out of memory'); raise SystemExit(3)"],
                folder,
                checkpoint,
            )

    real = evaluating._run
    monkeypatch.setattr(evaluating, "_run", failing)
    found, _ = checkpoints_in(trained)
    settings, said = EvaluationSettings(["calib_toy_norm"]), []
    done = list(evaluate(found, tmp_path, Runner(settings), said.append))
    assert [each.checkpoint.step for each in done] == [3, 100]
    assert any("checkpoint-20 could not be evaluated (out of memory)" in text for text in said)
    assert [settings.done(tmp_path, each) for each in found] == [True, False, True]
    with pytest.raises(CalibrationError, match=r"checkpoint-20 .*out of memory"):
        list(evaluate(found[1:], tmp_path / "new", Runner(settings), print))  # (as all would)


def test_a_log_keeps_no_key(trained: Path, tmp_path: Path) -> None:
    key = "hf_" + "a1B2c3D4" * 4
    command = [sys.executable, "-c", f"print('token={key}')", "--model_args", f"token={key}"]
    evaluating._run(command, tmp_path, checkpoints_in(trained)[0][0])
    assert "token=" in (tmp_path / "log.txt").read_text()
    assert key not in (tmp_path / "log.txt").read_text()


def test_other_weights_are_another_checkpoint(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    settings = EvaluationSettings(["calib_toy_norm"])
    first = checkpoints_in(folder)[0][0]
    settings.finish(tmp_path, first, "a test")
    assert settings.done(tmp_path, checkpoints_in(trained)[0][0])  # (a copy of the same weights)
    shutil.copy(folder / "checkpoint-20" / "model.safetensors", folder / "checkpoint-3")
    assert not settings.done(tmp_path, checkpoints_in(folder)[0][0])


def test_adapters_and_their_base(tiny_model: Path, tmp_path: Path) -> None:
    for step in (5, 10):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_config.json").write_text(
            json.dumps({"base_model_name_or_path": str(tiny_model)})
        )
        (folder / "adapter_model.safetensors").write_bytes(bytes([step]))
    found, _ = checkpoints_in(tmp_path, with_base=True)
    assert [each.name for each in found] == ["base", "checkpoint-5", "checkpoint-10"]
    told = [runner(dtype="float32").arguments(each) for each in found]
    assert told[0] == f"pretrained={tiny_model},dtype=float32"
    assert told[1] == f"pretrained={tiny_model},peft={tmp_path}/checkpoint-5,dtype=float32"
    assert runner(pretrained="X").arguments(found[1]).startswith("pretrained=X,peft=")


def test_a_model_without_a_tokenizer(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    for path in folder.rglob("tokenizer*"):
        path.unlink()
    (first, *_), _ = checkpoints_in(folder)
    with pytest.raises(InvalidInputError, match="tokenizer=NAME_OR_FOLDER"):
        runner().arguments(first)
    with pytest.raises(InvalidInputError, match="whole models"):
        runner(pretrained="X", tokenizer="Y").arguments(first)
    with pytest.raises(InvalidInputError, match="--base needs adapters"):
        checkpoints_in(trained, with_base=True)
