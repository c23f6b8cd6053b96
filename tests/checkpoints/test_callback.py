"""Calibration at every save of a training, without a trace in it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from lm_eval_calibration.checkpoints import EvaluationSettings, checkpoints_in, in_memory
from lm_eval_calibration.checkpoints.callback import CalibrationCallback
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import load_samples


class Lines(torch.utils.data.Dataset[Any]):
    """Sixteen texts."""

    def __len__(self) -> int:
        return 16

    def __getitem__(self, i: int) -> dict[str, Any]:
        tokens = torch.arange(8) + i + 60
        return {"input_ids": tokens, "labels": tokens}


def trainer(tiny_model: Path, out: Path, tokenizer: bool = True) -> Trainer:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(
        tiny_model, dtype=torch.float32, attention_dropout=0.1
    )
    settings = TrainingArguments(
        output_dir=str(out), max_steps=4, save_steps=2, per_device_train_batch_size=2, use_cpu=True,
        report_to="none", learning_rate=1e-2, seed=3, logging_steps=1, disable_tqdm=True,
    )  # fmt: skip
    own = AutoTokenizer.from_pretrained(tiny_model) if tokenizer else None
    return Trainer(model, settings, train_dataset=Lines(), processing_class=own)


def test_each_save_is_evaluated_and_logged(tiny_model: Path, tasks: Any, tmp_path: Path) -> None:
    names, drawn = ["calib_toy_norm"], []
    plain = trainer(tiny_model, tmp_path / "plain")
    plain.train()
    drawn.append((random.random(), np.random.rand()))
    watched = trainer(tiny_model, tmp_path / "watched")  # (which seeds both alike)
    watched.add_callback(CalibrationCallback(watched, names, limit=12, task_manager=tasks))
    watched.train()
    drawn.append((random.random(), np.random.rand()))
    assert drawn[0] == drawn[1]
    for (name, one), other in zip(
        plain.model.named_parameters(), watched.model.parameters(), strict=True
    ):
        assert torch.equal(one, other), name  # to the bit, dropout and all
    logged = [e for e in watched.state.log_history if "calib_toy_norm/nll" in e]
    assert [e["step"] for e in logged] == [2, 4]
    for entry in logged:
        for metric in ("acc", "nll", "ece"):
            value = entry[f"calib_toy_norm/{metric}"]
            assert (
                entry[f"calib_toy_norm/{metric}_low"]
                <= value
                <= entry[f"calib_toy_norm/{metric}_high"]
            )
    runs = tmp_path / "watched" / "calibration"
    settings = EvaluationSettings(names, 12, model_args={"dtype": "float32"})
    for checkpoint, entry in zip(checkpoints_in(tmp_path / "watched")[0], logged, strict=True):
        assert settings.done(runs, checkpoint)
        (path,) = settings.folder(runs, checkpoint).rglob("samples_*.jsonl")
        samples = load_samples(path)
        assert len(samples) == 12
        assert samples.correct.mean() == pytest.approx(entry["calib_toy_norm/acc"])


@pytest.mark.parametrize("where", ["evaluated", "intervals"])
def test_an_evaluation_that_fails_ends_no_training(
    tiny_model: Path, tasks: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch, where: str,
) -> None:  # fmt: skip
    def failing(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(in_memory, where, failing)
    made = trainer(tiny_model, tmp_path)
    made.add_callback(CalibrationCallback(made, ["calib_toy_norm"], limit=4, task_manager=tasks))
    made.train()
    assert made.state.global_step == 4 and "checkpoint-2 was not evaluated" in caplog.text
    assert not list(tmp_path.rglob("evaluated.json"))


def test_what_it_needs(tiny_model: Path, tasks: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="processing_class"):
        CalibrationCallback(trainer(tiny_model, tmp_path, tokenizer=False), ["calib_arc"])
    made = trainer(tiny_model, tmp_path)
    for name, why in (("calib_toy_nrom", "Did you mean"), ("calib_toy_generate", "does not say")):
        with pytest.raises(InvalidInputError, match=why):
            CalibrationCallback(made, [name], task_manager=tasks)
    with pytest.raises(InvalidInputError, match="list of names"):
        CalibrationCallback(trainer(tiny_model, tmp_path), "calib_arc")  # type: ignore[arg-type]
