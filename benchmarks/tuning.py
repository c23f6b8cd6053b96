"""Fine-tunes LoRA weights with TRL on what `lm-calib` exports, as a recipe to start from.

    lm-calib fractal export runs/pool --scorer frac/ --as pairs -o pairs.jsonl
    python benchmarks/tuning.py pairs.jsonl --model FOLDER --output dpo/      # DPO: chosen, rejected
    lm-calib pools runs/pool --export choices.jsonl
    python benchmarks/tuning.py choices.jsonl --model FOLDER --output sft/    # SFT: prompt, completion

Evaluate with `--model_args pretrained=FOLDER,peft=dpo/` on documents that had no part in the file.
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
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

LEARNING_RATES = {"dpo": 5e-5, "sft": 2e-4}


def trainer(given: argparse.Namespace) -> Any:
    """DPO where lines have `chosen`, supervised fine-tuning where they have `completion`."""
    lines = load_dataset("json", data_files=str(given.file), split="train")
    kind = "dpo" if "chosen" in lines.column_names else "sft"
    used = ["prompt", "chosen", "rejected"] if kind == "dpo" else ["prompt", "completion"]
    lines = lines.select_columns(used)
    settings: dict[str, Any] = {
        "output_dir": str(given.output), "num_train_epochs": given.epochs, "seed": given.seed,
        "per_device_train_batch_size": given.batch, "gradient_accumulation_steps": max(1, 8 // given.batch),
        "lr_scheduler_type": "cosine",
        "learning_rate": given.learning_rate or LEARNING_RATES[kind],
        "logging_steps": 5, "save_strategy": "no", "report_to": "none", "use_cpu": given.device == "cpu",
        "max_length": given.max_length, "gradient_checkpointing": False,
    }  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(given.model, dtype=getattr(torch, given.dtype))
    tokenizer = AutoTokenizer.from_pretrained(given.model)
    lora = LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    made, config = (DPOTrainer, DPOConfig) if kind == "dpo" else (SFTTrainer, SFTConfig)
    print(f"{kind}: {len(lines):,} lines of {given.file}")
    return made(
        model, args=config(**settings), train_dataset=lines, processing_class=tokenizer,
        peft_config=lora,
    )  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """Train, save the adapter, and print what the loss did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--learning_rate", type=float)
    parser.add_argument("--batch", type=int, default=4, help="of a pass; 8 lines make a step")
    parser.add_argument("--max_length", type=int, default=512)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cpu" if not torch.cuda.is_available() else "cuda")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    print(machine_facts("torch", "transformers", "peft", "trl"), end="\n\n")
    started, made = time.perf_counter(), trainer(given)
    made.train()
    made.save_model(str(given.output))
    losses = [entry["loss"] for entry in made.state.log_history if "loss" in entry]
    print(f"\nloss {', '.join(f'{loss:.3f}' for loss in losses)}")
    print(f"{made.state.global_step} steps, {time.perf_counter() - started:.0f} s: {given.output}")


if __name__ == "__main__":
    main()
