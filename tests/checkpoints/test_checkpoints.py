"""A training's checkpoints: which are whole, which are evaluated, what is shown of them."""

from __future__ import annotations

import json
import shutil
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
    settings = EvaluationSettings(["calib_toy_norm"])
    with pytest.raises(
        CalibrationError, match=r"checkpoint-20 could not be evaluated \(out of memory\)"
    ):
        list(evaluate(found, settings, tmp_path, Runner(), print))
    assert [settings.done(tmp_path, each) for each in found] == [True, False, False]


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
    told = [Runner(model_args={"dtype": "float32"}).arguments(each) for each in found]
    assert told[0] == f"pretrained={tiny_model},dtype=float32"
    assert told[1] == f"pretrained={tiny_model},peft={tmp_path}/checkpoint-5,dtype=float32"
    assert (
        Runner(model_args={"pretrained": "X"}).arguments(found[1]).startswith("pretrained=X,peft=")
    )


def test_a_model_without_a_tokenizer(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(trained, folder)
    for path in folder.rglob("tokenizer*"):
        path.unlink()
    (first, *_), _ = checkpoints_in(folder)
    with pytest.raises(InvalidInputError, match="tokenizer=NAME_OR_FOLDER"):
        Runner().arguments(first)
    with pytest.raises(InvalidInputError, match="whole models"):
        Runner(model_args={"pretrained": "X", "tokenizer": "Y"}).arguments(first)
    with pytest.raises(InvalidInputError, match="--base needs adapters"):
        checkpoints_in(trained, with_base=True)
