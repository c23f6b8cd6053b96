"""A LoRA training on ARC-Easy whose calibration is followed at every save, as a recipe to start from.

    python benchmarks/training.py --model FOLDER --output lora/
    lm-calib checkpoints lora/ --tasks calib_arc_easy --limit 200 --base -o trend.html

and `tensorboard --logdir lora/`: acc, nll and ece with the ends of their intervals.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from common import machine_facts
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from lm_eval_calibration.checkpoints.callback import CalibrationCallback


def example(row: dict[str, Any]) -> dict[str, str]:
    """A question in the task's own words, and its right option."""
    right = row["choices"]["text"][row["choices"]["label"].index(row["answerKey"])]
    return {"prompt": f"Question: {row['question']}\nAnswer:", "completion": f" {right}"}


def main() -> None:
    """Train, evaluating at each save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--epochs", type=float, default=4.0)
    parser.add_argument("--save_steps", type=int, default=40)
    parser.add_argument("--limit", type=int, default=100, help="documents of an evaluation")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    print(machine_facts("torch", "transformers", "peft", "trl"), end="\n\n")
    data = load_dataset("allenai/ai2_arc", "ARC-Easy", split="train").select(range(given.documents))
    lines = data.map(example, remove_columns=data.column_names)
    settings: dict[str, Any] = {
        "output_dir": str(given.output), "num_train_epochs": given.epochs, "learning_rate": 3e-4,
        "per_device_train_batch_size": 8, "save_strategy": "steps", "save_steps": given.save_steps,
        "logging_steps": 10, "report_to": "tensorboard", "use_cpu": given.device == "cpu", "seed": 0,
        "gradient_checkpointing": False, "max_length": 256,
    }  # fmt: skip
    trainer = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(given.model, dtype=torch.float32),
        args=SFTConfig(**settings), train_dataset=lines,
        processing_class=AutoTokenizer.from_pretrained(given.model),
        peft_config=LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"),
    )  # fmt: skip
    trainer.add_callback(CalibrationCallback(trainer, ["calib_arc_easy"], limit=given.limit))
    started = time.perf_counter()
    trainer.train()
    for entry in trainer.state.log_history:
        if "arc_easy/nll" in entry or "calib_arc_easy/nll" in entry:
            print({k: round(v, 4) if isinstance(v, float) else v for k, v in entry.items()})
    print(
        f"{trainer.state.global_step} steps, {time.perf_counter() - started:.0f} s: {given.output}"
    )


if __name__ == "__main__":
    main()
