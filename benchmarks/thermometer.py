"""THERMOMETER on cached features: training time, and how many prompts a temperature needs.

    lm-calib fit thermometer --model_args pretrained=<model> --tasks mmlu --output thermo
    python benchmarks/thermometer.py [--features thermo/features]
    python benchmarks/thermometer.py --cost --model <folder> --thermometer thermo --tasks arc_easy_letters

The second prints tables from synthetic tasks and, with --features, from the store alone. The third times whole evaluation calls of
`--model thermometer` beside `--model hf-fast`, in turn, in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from common import machine_facts, markdown_table, verdict

PROMPTS = (1, 3, 10, 30, 100)
SUBSETS = 20


def stored_tasks(folder: Path) -> dict[str, Any]:
    """Features by task, to learn from and to judge by, as `fit thermometer` parts them."""
    from lm_eval_calibration.features import Features, FeatureStore
    from lm_eval_calibration.fitting.thermometer import TaskFeatures

    parts: dict[str, dict[str, list[Features]]] = {}
    for key, features in FeatureStore(folder).stored():
        parts.setdefault(key.task, {}).setdefault(key.split, []).append(features)
    return {
        task: TaskFeatures(*(Features.concatenate(by_split[s]) for s in ("test", "validation")))
        for task, by_split in parts.items()
        if {"test", "validation"} <= set(by_split)
    }


def training_time(tasks: dict[str, Any], preset: str) -> list[str]:
    """Seconds of one training on all tasks."""
    from lm_eval_calibration.calibrators.thermometer import PRESETS, train

    start = time.perf_counter()
    found = train(
        [t.learn for t in tasks.values()], [t.judge for t in tasks.values()], PRESETS[preset]
    )
    seconds = time.perf_counter() - start
    steps = found.about["history"][-1][0]
    documents = sum(len(t.learn) for t in tasks.values())
    return [preset, str(len(tasks)), str(documents), str(found.hidden_size), f"{steps:.0f}",
            f"{seconds:.1f}", verdict(seconds, below=120)]  # fmt: skip


def enlarged(tasks: dict[str, Any], count: int) -> dict[str, Any]:
    """So many tasks, by repeating those there are."""
    names = list(tasks)
    return {f"{names[i % len(names)]} {i}": tasks[names[i % len(names)]] for i in range(count)}


def few_prompts(tasks: dict[str, Any], seed: int = 0) -> list[list[str]]:
    """What temperatures of a few random prompts do to each held-out task."""
    from lm_eval_calibration.calibrators.thermometer import PRESETS, train
    from lm_eval_calibration.fitting.leave_one_out import OPTIONS, mean_nll, scaled

    ece = OPTIONS["ece"]
    rng = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float]]] = {}
    for name, task in tasks.items():
        others = [part for other, part in tasks.items() if other != name]
        network = train([o.learn for o in others], [o.judge for o in others], PRESETS["default"])
        inverse = network.inverse_temperatures(task.learn.hidden)
        whole = network.temperature(inverse)
        for count in (*PROMPTS, len(inverse)):
            label = "all" if count == len(inverse) else str(count)
            for _ in range(SUBSETS if count < len(inverse) else 1):
                t = network.temperature(
                    rng.choice(inverse, min(count, len(inverse)), replace=False)
                )
                p = scaled(task.learn.predictions, t)
                values = (abs(np.log(t / whole)), ece.of(p), mean_nll(p))
                found.setdefault(label, []).append(values)
    return [
        [label, *(f"{value:.4f}" for value in np.mean(values, axis=0)),
         f"{np.quantile([v[0] for v in values], 0.9):.3f}"]
        for label, values in found.items()
    ]  # fmt: skip


def recovery() -> list[list[str]]:
    """Held-out temperatures of synthetic tasks, whose truth is written into their hidden states."""
    from lm_eval_calibration.calibrators.thermometer import PRESETS, train
    from lm_eval_calibration.fitting.leave_one_out import fitted_temperature, mean_nll, scaled

    grid = np.exp(np.linspace(np.log(0.7), np.log(4), 24))
    learn, judge = ([synthetic(t, 200, seed + i) for i, t in enumerate(grid)] for seed in (0, 100))
    network = train(learn, judge, PRESETS["default"])
    rows = []
    for i, true in enumerate((0.9, 1.3, 2.0, 3.0)):
        new = synthetic(true, 2000, 500 + i)
        found = network.temperature(network.inverse_temperatures(new.hidden))
        oracle = fitted_temperature(new.predictions)
        ours, best, raw = (mean_nll(scaled(new.predictions, t)) for t in (found, oracle, 1.0))
        rows.append([f"{true}", f"{found:.3f}", f"{found / true - 1:+.1%}", f"{oracle:.3f}",
                     f"{raw:.4f}", f"{ours:.4f}", f"{ours / best - 1:.2%}"])  # fmt: skip
    return rows


def synthetic(temperature: float, count: int, seed: int) -> Any:
    """A task that is calibrated once its logits are divided by `temperature`."""
    from lm_eval_calibration.features import Features

    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, (count, 4))
    p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    gold = np.eye(4, dtype=bool)[[rng.choice(4, p=row) for row in p]]
    hidden = rng.normal(0, 1, (count, 64))
    hidden[:, 0] = np.log(temperature) + rng.normal(0, 0.3, count)
    return Features(
        f"T = {temperature:.2f}", hidden.astype(np.float32), true * temperature,
        np.full(count, 4, dtype=np.intp), gold, np.arange(count, dtype=np.uint64),
    )  # fmt: skip


def cost(options: Any) -> list[list[str]]:
    """Seconds of evaluation calls with and without the thermometer, in turn."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401
    from lm_eval_calibration.models.hf_fast import FastHFLM
    from lm_eval_calibration.models.thermometer import ThermometerLM

    settings = {"pretrained": options.model, "device": "cpu", "dtype": options.dtype}
    models = {
        "hf-fast": FastHFLM(**settings),
        "thermometer": ThermometerLM(thermometer=options.thermometer, **settings),
    }
    manager = TaskManager()
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(options.repeats + 1):
        for name in sorted(models, reverse=bool(turn % 2)):  # either is first every other turn
            lm = models[name]
            start = time.perf_counter()
            simple_evaluate(
                model=lm, tasks=[f"calib_{t}" for t in options.tasks.split(",")],
                task_manager=manager, limit=options.limit, bootstrap_iters=0,
            )  # fmt: skip
            if turn:  # the first call of each holds the engine's check
                seconds[name].append(time.perf_counter() - start)
    ratio = median(b / a for a, b in zip(seconds["hf-fast"], seconds["thermometer"], strict=True))
    times = [median(values) for values in seconds.values()]
    figures = [*(f"{value:.2f}" for value in times), f"{times[1] / times[0]:.4f}", f"{ratio:.4f}"]
    pairs = str(options.repeats)
    return [[options.tasks, str(options.limit), pairs, *figures, verdict(ratio, below=1.01)]]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--features", type=Path, help="a feature store with test and validation")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--model", help="folder of the checkpoint")
    parser.add_argument("--thermometer")
    parser.add_argument("--tasks", default="arc_easy_letters")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    print(machine_facts("torch", "transformers", "lm_eval", "numpy"))
    if options.cost:
        header = ["tasks", "documents", "pairs", "`hf-fast`, s", "`thermometer`, s",
                  "ratio of medians", "median ratio", "target"]  # fmt: skip
        print(f"\n{markdown_table(header, cost(options))}")
        return
    header = ["true temperature", "found", "error", "oracle", "nll at 1", "nll", "above oracle's"]
    print(f"\n{markdown_table(header, recovery())}")
    if options.features is None:
        return
    tasks = stored_tasks(options.features)
    header = ["preset", "tasks", "documents", "hidden size", "steps", "seconds", "target"]
    rows = [training_time(enlarged(tasks, 57), preset) for preset in ("default", "paper")]
    print(f"\n{markdown_table(header, rows)}")
    header = ["prompts", "distance of log temperature from that of all", "ece", "nll", "90 % below"]
    print(f"\n{markdown_table(header, few_prompts(tasks))}")


if __name__ == "__main__":
    main()
