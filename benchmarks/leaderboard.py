"""Time and memory of a leaderboard: many models on many tasks, as the harness logs them.

    python benchmarks/leaderboard.py --models 100 --tasks 60 --documents 125 250 500

Writes synthetic logs (four options, about 3 kB a document; all models have the same documents) into
--folder and ranks them with `lm-calib leaderboard --json` in a process of its own, whose memory is
sampled with that of its workers. `--page` has the page written too. `--packed` ranks the first ten
models once more, each packed as .tar.gz: unpacking must not cost more than reading does. The peer
reads the same lines with `json.loads` and computes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from common import machine_facts, markdown_table, verdict
from offline import OPTIONS, measure, sample

TARGET = (100, 60, 500)
TARGET_SECONDS, TARGET_GB, TARGET_SLOWER = 90.0, 2.0, 2.0
HEADER = (
    "models x tasks x documents",
    "logs, GB",
    "what",
    "s",
    "target",
    "peak memory, GB",
    "target",
)
MARKS = (-11111.25, -22222.25, -33333.25, -44444.25)
DATE = "2026-01-02T03-04-05.678901"
PACKED = 10
PEER = (
    "import sys, json, pathlib\n"
    "for path in pathlib.Path(sys.argv[1]).rglob('*.jsonl'):\n"
    "    [json.loads(line) for line in path.open()]"
)


def templates(task: int, count: int) -> list[str]:
    """A task's lines, in which a model's eight log-likelihoods and two verdicts are to be filled in."""
    lines = []
    for i in range(count):
        text = json.dumps(sample(1_000_000 * task + i, list(MARKS), i % 4)).replace("%", "%%")
        text = text[: text.rindex('"acc"')] + '"acc": %.1f, "acc_norm": %.1f}\n'
        for mark in MARKS:
            text = text.replace(f'"{mark}"', '"%r"')
        lines.append(text)
    return lines


def write_logs(folder: Path, models: int, tasks: int, documents: int) -> None:
    """Runs of models that get better, with what is hard for one being hard for all."""
    import numpy as np

    lengths = np.array([len(option) for option in OPTIONS])
    names = [f"task_{task:02d}" for task in range(tasks)]
    configs = {name: {"task": name, "target_delimiter": " "} for name in names}
    for model in range(models):
        path = folder / f"model-{model:03d}" / f"results_{DATE}.json"
        path.parent.mkdir(parents=True)
        told = {"model_name": path.parent.name, "chat_template": None, "configs": configs}
        path.write_text(json.dumps(told))
    for task in range(tasks):
        lines = templates(task, documents)
        rng = np.random.default_rng(task)
        gold = np.arange(documents) % 4
        hard = rng.normal(-30, 2, size=(documents, 4))
        for model in range(models):
            scores = hard + rng.normal(size=hard.shape)
            scores[np.arange(documents), gold] += 4 * model / models
            verdicts = [s.argmax(axis=1) == gold for s in (scores, scores / lengths)]
            path = folder / f"model-{model:03d}" / f"samples_task_{task:02d}_{DATE}.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for line, s, acc, norm in zip(lines, scores.tolist(), *verdicts, strict=True):
                    file.write(line % (*s, *s, acc, norm))


def row(
    shape: Sequence[int], folder: Path, what: str, command: Sequence[str], aimed: bool
) -> list[str]:
    """One line of the table."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    seconds, peak = measure(command)
    return [
        " x ".join(map(str, shape)),
        f"{size:.2f}",
        what,
        f"{seconds:.1f}",
        verdict(seconds, below=TARGET_SECONDS) if aimed else "",
        f"{peak:.2f}",
        verdict(peak, below=TARGET_GB) if aimed else "",
    ]


def ranked(folder: Path, *options: str) -> list[str]:
    """The command that ranks what lies in a folder."""
    program = [sys.executable, "-m", "lm_eval_calibration", "leaderboard"]
    return [*program, str(folder), "--json", *options]


def pack(folder: Path, into: Path) -> None:
    """The first models, each as .tar.gz and each as it is."""
    for model in sorted(folder.iterdir())[:PACKED]:
        shutil.copytree(model, into / "plain" / model.name)
        (into / "packed").mkdir(exist_ok=True)
        with tarfile.open(
            into / "packed" / f"{model.name}.tar.gz", "w:gz", compresslevel=6
        ) as file:
            file.add(model, model.name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--models", type=int, default=TARGET[0])
    parser.add_argument("--tasks", type=int, default=TARGET[1])
    parser.add_argument("--documents", type=int, nargs="+", default=[125, 250, TARGET[2]])
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    options = parser.parse_args()
    lines = []
    for documents in options.documents:
        shape = (options.models, options.tasks, documents)
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name) / "runs"
            write_logs(folder, *shape)
            aimed = shape == TARGET
            lines.append(row(shape, folder, "`leaderboard`", ranked(folder), aimed))
            if options.page:
                page = ranked(folder, "-o", os.path.join(name, "page.html"))
                lines.append(row(shape, folder, "the same with its page", page, False))
            if options.peer:
                peer = [sys.executable, "-c", PEER, str(folder)]
                lines.append(row(shape, folder, "peer: `json.loads`, one core", peer, False))
            if options.packed:
                pack(folder, Path(name))
                few = (PACKED, *shape[1:])
                for kind in ("plain", "packed"):
                    part = Path(name) / kind
                    lines.append(row(few, part, f"`leaderboard`, {kind}", ranked(part), False))
    print(machine_facts("lm-eval-calibration", "numpy", "scipy"))
    print()
    print(markdown_table(HEADER, lines))


if __name__ == "__main__":
    main()
