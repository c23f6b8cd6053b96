"""What `--use_cache` costs on `hf-fast`, and what a kill costs with it.

    python benchmarks/resuming.py --model <SmolLM2-135M-Instruct> --data ../shared/data

Whole `lm_eval` commands, in turn: without a cache, with a new one, and with a full one; then one that
is killed by SIGKILL when half of its answers are kept, and the same command again. Seconds are of the
whole command, loading included; answers are counted in the cache.
"""

from __future__ import annotations

import argparse
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import machine_facts, markdown_table

HEADER = ("command", "seconds", "beside no cache", "answers in the cache", "computed")
PAUSE = 0.2
"""Seconds between two looks into the cache."""


class Commands:
    """`lm_eval` over one task, into one folder."""

    def __init__(self, options: argparse.Namespace, folder: Path) -> None:
        self.options, self.folder, self.count = options, folder, 0

    def start(self, cache: str = "") -> tuple[subprocess.Popen[str], Path]:
        """An evaluation under way, and where it writes."""
        self.count += 1
        out = self.folder / str(self.count)
        command = [
            sys.executable, "-m", "lm_eval", "run", "--model", "hf-fast", "--model_args",
            f"pretrained={self.options.model},dtype=float32", "--tasks", self.options.task,
            "--limit", str(self.options.limit), "--device", "cpu", "--log_samples", "--output_path", str(out),
        ]  # fmt: skip
        command += ["--use_cache", str(self.folder / cache)] if cache else []
        quiet = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.options.data, text=True, stdout=quiet, stderr=quiet
        ), out

    def run(self, cache: str = "") -> tuple[float, Path]:
        """Seconds of a whole evaluation, and where it wrote."""
        start = time.perf_counter()
        process, out = self.start(cache)
        if process.wait():
            raise SystemExit("lm_eval failed: run its command by hand")
        return time.perf_counter() - start, out

    def kept(self, cache: str) -> int:
        """Answers in a cache."""
        try:
            with sqlite3.connect(f"file:{self.folder / cache}_rank0.db?mode=ro", uri=True) as rows:
                return int(rows.execute("SELECT count(*) FROM unnamed").fetchone()[0])
        except sqlite3.OperationalError:
            return 0

    def killed(self, cache: str, at: int) -> tuple[float, int]:
        """Seconds until a kill when `at` answers are kept, and how many are."""
        start = time.perf_counter()
        process, _ = self.start(cache)
        while self.kept(cache) < at:
            if process.poll() is not None:
                raise SystemExit("lm_eval ended before it was killed: take more documents")
            time.sleep(PAUSE)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return time.perf_counter() - start, self.kept(cache)


def figures(out: Path) -> Any:
    """What a run reports."""
    return json.loads(next(out.rglob("results_*.json")).read_text())["results"]


def answers(out: Path) -> list[float]:
    """The log-likelihoods that a run logged."""
    lines = next(out.rglob("samples_*.jsonl")).read_text().splitlines()
    return [float(value) for line in lines for value, _ in json.loads(line)["filtered_resps"]]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--task", default="calib_hellaswag")
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(argv)
    print(machine_facts("torch", "transformers", "lm_eval"))
    with tempfile.TemporaryDirectory() as folder:
        runs = Commands(options, Path(folder).resolve())
        plain, cached, again = [], [], []
        for repeat in range(options.repeats):
            seconds, whole = runs.run()
            plain.append(seconds)
            cached.append(runs.run(f"cache{repeat}")[0])
            seconds, read = runs.run(f"cache{repeat}")
            again.append(seconds)
        total = runs.kept("cache0")
        until, kept = runs.killed("killed", total // 2)
        seconds, resumed = runs.run("killed")
        first = median(plain)
        rows = [
            ("no cache", first, 0, total),
            ("`--use_cache`, new", median(cached), total, total),
            ("`--use_cache`, full", median(again), total, 0),
            (f"killed at {kept / total:.0%}", until, kept, kept),
            ("the same command again", seconds, runs.kept("killed"), total - kept),
        ]
        print(f"\n{options.task}, {options.limit} documents; medians of {options.repeats} rounds\n")
        print(markdown_table(HEADER, [
            (name, f"{took:.1f}", f"{took / first:.2f}", f"{there:,}", f"{made:,}")
            for name, took, there, made in rows
        ]))  # fmt: skip
        for name, other in (("full cache", read), ("killed and gone on with", resumed)):
            pairs = zip(answers(whole), answers(other), strict=True)
            largest = max(abs(a - b) for a, b in pairs)
            same = figures(whole) == figures(other)
            print(f"\n{name}: figures equal: {same}, log-likelihoods within {largest:.1e} nats")


if __name__ == "__main__":
    main()
