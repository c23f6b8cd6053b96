"""SWAG and what it is compared with, on a fitted folder of members; and what it costs.

    lm-calib fit swag --model_args pretrained=<model> --tasks arc_easy --members 3 --output swag
    python benchmarks/swag.py --model <folder> --swag swag --out runs --limit 400
    python benchmarks/swag.py --cost --model <folder> --swag swag --tasks calib_arc_easy --limit 100

The second runs `lm_eval` once for each method, or reads what an earlier run has left in --out, and
prints tables in Markdown. The third times whole evaluation calls beside `--model hf-fast`, in turn,
in one process; and a training's steps with and without snapshots.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import machine_facts, markdown_table, verdict

TASKS = {
    "calib_arc_easy": "ARC-Easy",
    "calib_arc_challenge": "ARC-Challenge",
    "calib_mmlu_international_law_continuation,calib_mmlu_jurisprudence_continuation": "law",
    "calib_mmlu_college_computer_science_continuation,calib_mmlu_high_school_computer_science_continuation": "computer science",
}  # fmt: skip
METHODS = {
    "MAP": "method=map",
    "MC dropout": "method=mc_dropout,samples=15",
    "ensemble": "method=ensemble",
    "SWA": "method=swa",
    "SWAG, scale 0.5": "method=swag,scale=0.5,samples=15",
    "SWAG, scale by validation": "method=swag,samples=15",
    "MultiSWAG, scale by validation": "method=multiswag,samples=5",
    "MultiSWAG, scale 0.5": "method=multiswag,scale=0.5,samples=5",
}
METRICS = ("acc", "nll", "ece", "brier")
INSIDE = "calib_arc_easy"


def evaluate(options: Any) -> None:
    """One `lm_eval` call for each method that has left nothing in --out yet."""
    for name, arguments in METHODS.items():
        out = options.out / name.replace(" ", "-").replace(",", "")
        if list(out.rglob("results_*.json")):
            continue
        start = time.perf_counter()
        model = f"pretrained={options.model},dtype={options.dtype},swag={options.swag},{arguments}"
        command = [
            Path(sys.executable).parent / "lm_eval",
            "--model",
            "swag",
            "--model_args",
            model,
        ]
        command += ["--tasks", ",".join(TASKS), "--limit", str(options.limit), "--log_samples"]
        subprocess.run(
            [*command, "--output_path", out, "--device", options.device],
            check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)


def read(options: Any) -> dict[str, Any]:
    """Each method's run."""
    from lm_eval_calibration.logs import read_runs

    runs = {}
    for name in METHODS:
        folder = options.out / name.replace(" ", "-").replace(",", "")
        (runs[name],) = read_runs([f"{name.split(',')[0]}={folder}"], one_each=True)[0]
    return runs


def tables(runs: dict[str, Any]) -> None:
    """Print figures with standard errors, differences from MAP, and OOD figures."""
    from lm_eval_calibration.fitting.beliefs import Beliefs
    from lm_eval_calibration.fitting.recalibration import recalibrate
    from lm_eval_calibration.metrics.evaluate import evaluate as estimates

    inside = {name: run.samples[INSIDE] for name, run in runs.items()}
    predictions = {name: samples.predictions for name, samples in inside.items()}
    beliefs = Beliefs({INSIDE: predictions["MAP"]}, {INSIDE: inside["MAP"].doc_hash})
    scaled = recalibrate("temperature", beliefs, folds=5, per_task=False).held_out
    predictions = {
        "MAP": predictions.pop("MAP"),
        "MAP, temperature (cross-fitted)": scaled,
    } | predictions
    rows = []
    for name, p in predictions.items():
        found = estimates(p, METRICS, replicates=1000)
        rows.append([name, *(f"{found[m].value:.4f} ± {found[m].stderr:.4f}" for m in METRICS)])
    print(f"\n{TASKS[INSIDE]}, {len(scaled):,} test documents\n")
    print(markdown_table(["method", *METRICS], rows))
    print("\nThe same documents, less MAP's figure (paired bootstrap, 95 % interval)\n")
    print(markdown_table(["method", "nll", "brier", "ece"], differences(predictions)))
    print(
        "\nOut-of-distribution documents told from ARC-Easy's: AUROC by entropy / mutual information\n"
    )
    header = [
        "method",
        *(f"{title} ({count(runs, names):,})" for names, title in list(TASKS.items())[1:]),
    ]
    print(markdown_table(header, unfamiliar(runs)))


def differences(predictions: dict[str, Any]) -> list[list[str]]:
    """Of each method from MAP."""
    from lm_eval_calibration.metrics.paired import compare

    rows = []
    for name, p in list(predictions.items())[1:]:
        found = compare(predictions["MAP"], p, ("nll", "brier", "ece"), replicates=2000)
        cells = [f"{d.difference:+.4f} [{d.low:+.4f}, {d.high:+.4f}]" for d in found.values()]
        rows.append([name, *cells])
    return rows


def count(runs: dict[str, Any], names: str) -> int:
    """Documents of some tasks."""
    return sum(len(runs["MAP"].samples[name]) for name in names.split(","))


def unfamiliar(runs: dict[str, Any]) -> list[list[str]]:
    """AUROC of each method and set, by entropy and by mutual information where there are draws."""
    from dataclasses import replace

    from lm_eval_calibration.analysis.detection import scores
    from lm_eval_calibration.metrics.detection import detect, detection_spread

    def of(run: Any, names: str) -> dict[str, Any]:
        return scores(replace(run, samples={n: run.samples[n] for n in names.split(",")}))

    rows = []
    for name, run in runs.items():
        familiar, cells = of(run, INSIDE), []
        for names in list(TASKS)[1:]:
            found = of(run, names)
            parts = []
            for score in ("entropy", "mutual_information"):
                if score in found:
                    pair = familiar[score], found[score]
                    error = detection_spread(*pair)[0].stderr
                    parts.append(f"{float(detect(*pair).auroc):.3f} ± {error:.3f}")
            cells.append(" / ".join(parts))
        rows.append([name, *cells])
    return rows


def cost(options: Any) -> None:
    """Whole `simple_evaluate` calls, and training steps."""
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    from lm_eval_calibration.models.hf_fast import FastHFLM
    from lm_eval_calibration.models.swag import SwagLM

    settings = {"pretrained": options.model, "dtype": options.dtype, "device": options.device}
    adapter = options.swag / "member-0" if (options.swag / "member-0").is_dir() else options.swag
    models: dict[str, Any] = {"hf": HFLM(**settings, batch_size=8)} if options.hf else {}
    models |= {
        "hf-fast": FastHFLM(**settings),
        "hf-fast, peft=": FastHFLM(**settings, peft=str(adapter)),
        **{
            f"swag, samples={s}": SwagLM(
                **settings, swag=str(options.swag), samples=s, method="swag", scale=0.5,
                allow_seen=True,
            )
            for s in options.samples
        },
    }  # fmt: skip
    manager = TaskManager()
    seconds = {name: [] for name in models}
    for _ in range(options.repeats + 1):
        for name, lm in models.items():
            seconds[name].append(timed(lm, manager, options))
    found = {name: median(values[1:]) for name, values in seconds.items()}  # (the first checks)
    rows = []
    for name, value in found.items():
        draws = int(name.partition("samples=")[2] or 1)
        goal = name.startswith("swag")
        ratios = [value / (draws * found[base]) for base in ("hf-fast", "hf-fast, peft=")]
        rows.append(
            [
                name,
                f"{value:.2f}",
                *(f"{r:.3f}" for r in ratios),
                verdict(ratios[0], below=1.05) if goal else "",
            ]
        )
    print(f"\n{options.tasks}, limit {options.limit}, median of {options.repeats} calls\n")
    print(markdown_table(["model", "s", "/ (draws x hf-fast)", "/ (draws x peft)", "goal"], rows))


def timed(lm: Any, manager: Any, options: Any) -> float:
    """Seconds of one evaluation call."""
    from lm_eval import simple_evaluate

    start = time.perf_counter()
    simple_evaluate(
        lm, tasks=options.tasks.split(","), limit=options.limit, num_fewshot=options.shots,
        task_manager=manager, bootstrap_iters=0, verbosity="ERROR",
    )  # fmt: skip
    return time.perf_counter() - start


def training_cost(options: Any) -> None:
    """Seconds of the callback's snapshots as a share of the training's steps."""
    from tempfile import TemporaryDirectory

    from lm_eval_calibration.fitting import swag as fitting
    from lm_eval_calibration.fitting.task_documents import Prompting, Selection
    from lm_eval_calibration.models.hf_fast import FastHFLM
    from lm_eval_calibration.swag import PRESETS, Moments, training

    lm = FastHFLM(pretrained=options.model, dtype=options.dtype, device=options.device)
    found = fitting.material(lm, Selection(["arc_easy"], prompting=Prompting(limit=160)))
    spent, bytes_held = [], []
    whole = training.Moments.collect

    def collect(self: Moments, weights: Any) -> None:
        start = time.perf_counter()
        whole(self, weights)
        spent.append(time.perf_counter() - start)
        bytes_held.append(sum(t.nbytes for t in self.state().values()) / self.mean.nbytes)

    training.Moments.collect = collect
    settings = PRESETS["default"]
    engine = lm.packed([o for q in found.learn for o in q.options])
    with TemporaryDirectory() as folder:
        start = time.perf_counter()
        fitting._member(lm, engine, found, settings, Path(folder), 0, None)
        total = time.perf_counter() - start
    share = sum(spent) / total
    rows = [[
        f"{total:.1f}", str(len(spent)), f"{1000 * median(spent):.1f}", f"{100 * share:.2f} %",
        verdict(100 * share, below=3), f"{bytes_held[-1]:.1f}", f"{settings.rank + 2}",
    ]]  # fmt: skip
    print(f"\nTraining on {len(found.learn)} documents, default preset\n")
    print(markdown_table(
        ["training, s", "snapshots", "ms each", "share of the training", "goal, %",
         "memory / weights", "K + 2"], rows,
    ))  # fmt: skip


def main(argv: Sequence[str] | None = None) -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--swag", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--hf", action="store_true", help="time the harness's own `hf` too")
    parser.add_argument("--tasks", default="calib_arc_easy")
    parser.add_argument("--shots", type=int)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 5])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    print(machine_facts("torch", "transformers", "peft", "lm-eval"))
    if options.cost:
        if not options.hf:
            training_cost(options)
        cost(options)
    elif options.out is None:
        parser.error("--out: a folder for the runs")
    else:
        evaluate(options)
        tables(read(options))


if __name__ == "__main__":
    main()
