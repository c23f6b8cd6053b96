"""`lm-calib fit swag` as it is typed: splits, several members, going on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from command import run
from release import only_0_4

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.fitting.swag import material
from lm_eval_calibration.fitting.task_documents import Prompting, Selection
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.swag import load, training


@pytest.fixture
def arguments(tiny_model: Path, task_folder: Path) -> list[Any]:
    return [
        "fit", "swag", "--model_args", f"pretrained={tiny_model},dtype=float32", "--device", "cpu",
        "--tasks", "toy_norm", "--include_path", task_folder, "--train_batch_size", "2",
        "--rank", "3", "--learning_rate", "0.01", "--scale", "1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def fast(tiny_model: Path) -> FastHFLM:
    return FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")


def test_several_processes_are_refused(
    fast: FastHFLM, task_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast, "_world_size", 2)
    with pytest.raises(InvalidInputError, match="`lm-calib fit swag` runs in one process, got 2"):
        material(fast, Selection(["toy_norm"], include_path=str(task_folder)))


def test_documents_are_the_tasks(fast: FastHFLM, task_folder: Path) -> None:
    found = material(fast, Selection(["toy_norm"], include_path=str(task_folder)))
    assert len(found.learn) + len(found.judge) == 12 and found.judge
    assert found.training.tasks == {"toy_norm": 12} and len(found.training.documents) == 12
    text = fast.tok_decode(found.learn[0].options[0].context)
    assert "Question: What is item" in text and text.endswith("Answer:")
    assert "of train answer" not in text and " of train?" in text
    first = found.learn[0].options[0].continuation
    assert "train answer" in fast.tok_decode(first)


@only_0_4("0.5 leaves such documents out")
def test_documents_without_a_right_option_are_counted(fast: FastHFLM, task_folder: Path) -> None:
    found = material(fast, Selection(["toy_outside"], include_path=str(task_folder)))
    assert len(found.learn) + len(found.judge) == 10
    assert found.notes == [
        "`toy_outside`: 2 of 12 documents of its train split name no right option, and are left out."
    ]
    found = material(fast, Selection(["toy_norm"], "test", Prompting(limit=5), str(task_folder)))
    assert "is evaluated on its test split, which is trained on here" in found.notes[0]


def test_a_member_is_an_adapter_with_its_posterior(arguments: list[Any], tmp_path: Path) -> None:
    printed = run(*arguments, "--output", tmp_path / "s").output
    assert "Trained on" in printed and "scale 1.0" in printed
    names = {path.name for path in (tmp_path / "s").iterdir()}
    assert names == {
        ".lm-eval-calibration.json", "adapter_model.safetensors", "adapter_config.json", "map",
        "swag.safetensors", "swag.json", "training.json",
    }  # fmt: skip
    (member,) = load(tmp_path / "s")
    assert member.scale == 1.0 and member.moments.count >= 3
    log = json.loads((tmp_path / "s" / "training.json").read_text())["steps"]
    assert {"loss", "learning_rate", "step"} <= set(log[0])
    about = json.loads((tmp_path / "s" / "swag.json").read_text())
    assert about["validation"]["map"] > 0 and set(about["validation"]["scales"]) == {"0.0", "1.0"}


@pytest.mark.exhaustive
def test_the_command_goes_on_where_it_was(
    arguments: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_STEPS", 2)
    run(*arguments, "--members", "2", "--output", tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop_at(total: int) -> None:
        on_step_end, done = training._Snapshots.on_step_end, []

        def step(self: Any, *rest: Any, **more: Any) -> None:
            done.append(1)
            if len(done) == total:
                raise StopError
            on_step_end(self, *rest, **more)

        monkeypatch.setattr(training._Snapshots, "on_step_end", step)
        with pytest.raises(StopError):
            run(*arguments, "--members", "2", "--output", tmp_path / "cut")
        monkeypatch.setattr(training._Snapshots, "on_step_end", on_step_end)

    stop_at(5)
    assert not list((tmp_path / "cut").rglob("swag.json"))
    with pytest.raises(InvalidInputError, match="trained on other documents"):
        run(*arguments, "--members", "2", "--output", tmp_path / "cut", "--seed", "1")
    stop_at(10)
    run(*arguments, "--members", "2", "--output", tmp_path / "cut")
    assert not (tmp_path / "cut" / "training").exists()
    for a, b in zip(load(tmp_path / "whole"), load(tmp_path / "cut"), strict=True):
        for name, value in a.moments.state().items():
            assert torch.equal(value, b.moments.state()[name])
        assert all(torch.equal(a.best[name], b.best[name]) for name in a.best)
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").rglob("swag.json")}
    run(*arguments, "--members", "2", "--output", tmp_path / "cut")  # nothing left to do
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "cut").rglob("swag.json")}
    with pytest.raises(InvalidInputError, match="Give another --output, or delete it"):
        run(*arguments, "--members", "2", "--output", tmp_path / "cut", "--lora_rank", "4")


def test_the_scale_is_chosen_on_validation_documents(arguments: list[Any], tmp_path: Path) -> None:
    chosen = [a for a in arguments if a not in ("--scale", "1")]
    run(*chosen, "--output", tmp_path)
    about = json.loads((tmp_path / "swag.json").read_text())
    scales = about["validation"]["scales"]
    assert about["scale"] == float(min(scales, key=scales.__getitem__))


def test_arguments_that_cannot_be(arguments: list[Any], tmp_path: Path, tiny_model: Path) -> None:
    out = ["--output", tmp_path / "x"]
    for words, match in (
        (["fit", "swag", *out], "Give --tasks"),
        ([*arguments, *out, "--preset", "best"], "`--preset` must be default or onal2024"),
        ([*arguments, *out, "--rank", "99"], "`rank` must be at most the number of snapshots"),
        ([*arguments, *out, "--epochs", "0"], "`epochs` must be at least 1"),
        ([*arguments, *out, "--target_modules", "nothing"], "`--target_modules` must be names"),
        ([*arguments, *out, "--split", "dev"], "`--split` must be one of test, train"),
        ([*arguments, *out, "--tasks", "toy_generate"], "generate_until task"),
        ([*arguments[:2], *out, "--tasks", "arc_eazy"], "Did you mean `arc_easy`"),
    ):
        with pytest.raises(CalibrationError, match=match):
            run(*words)
    assert not list((tmp_path).rglob("swag.json"))
