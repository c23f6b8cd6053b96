"""Time and memory of scoring logged runs: a million documents as the harness writes them.

    python benchmarks/offline.py --sizes 10000 100000 1000000

Writes synthetic samples files of the harness's format (four options, about 3 kB a document) into
--folder, scores each with `lm-calib score --json` in a process of its own, and samples the memory
of that process and its workers. The peer is what a notebook would do first: read the same lines
with pandas and compute nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import machine_facts, markdown_table, verdict

TARGET_SIZE, TARGET_SECONDS, TARGET_GB = 1_000_000, 60.0, 1.5
PEER_SIZE = 100_000
HEADER = ("documents", "file, GB", "what", "s", "target", "peak memory, GB", "target")
QUESTION = (
    "A student mixes two clear liquids in a beaker and sees a white solid settle at the bottom, "
    "while the glass becomes warm to the touch. Which observation is the best evidence that a "
    "chemical reaction has taken place, and not only a change of state? ({})"
)
OPTIONS = (
    "A new solid formed that neither of the two liquids contained before.",
    "The two liquids took up the space of the beaker together.",
    "The beaker was made of glass that can hold warm liquids.",
    "The student could still see through a part of the mixture.",
)


def write_samples(path: Path, size: int) -> None:
    """A samples file of `size` documents; gold options are drawn from a softened softmax."""
    import numpy as np

    rng = np.random.default_rng(0)
    with path.open("w", encoding="utf-8") as file:
        for start in range(0, size, 10_000):
            count = min(10_000, size - start)
            scores = rng.normal(-30, 2, size=(count, 4))
            gold = (scores / 2 + rng.gumbel(size=scores.shape)).argmax(axis=1)
            file.writelines(
                json.dumps(sample(start + i, s, int(g)), ensure_ascii=False) + "\n"
                for i, (s, g) in enumerate(zip(scores.tolist(), gold, strict=True))
            )


def sample(doc_id: int, scores: list[float], gold: int) -> dict[str, Any]:
    """One document as the harness logs it."""
    question = QUESTION.format(doc_id)
    context = f"Question: {question}\nAnswer:"
    best = scores.index(max(scores))
    per_length = [s / len(o) for s, o in zip(scores, OPTIONS, strict=True)]
    responses = [[str(s), "False"] for s in scores]
    digests = {
        f"{name}_hash": hashlib.sha256(f"{name}{doc_id}".encode()).hexdigest()
        for name in ("doc", "prompt", "target")
    }
    return {
        "doc_id": doc_id,
        "doc": {
            "id": f"synthetic_{doc_id}",
            "question": question,
            "choices": {"text": list(OPTIONS), "label": ["A", "B", "C", "D"]},
            "answerKey": "ABCD"[gold],
        },
        "target": str(gold),
        "arguments": {
            f"gen_args_{i}": {"arg_0": context, "arg_1": f" {option}"}
            for i, option in enumerate(OPTIONS)
        },
        "resps": [[r] for r in responses],
        "filtered_resps": responses,
        "filter": "none",
        "metrics": ["acc", "acc_norm"],
        **digests,
        "acc": float(best == gold),
        "acc_norm": float(per_length.index(max(per_length)) == gold),
    }


def measure(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds of a command, and peak GB of its whole process tree."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    if process.wait():
        raise SystemExit(f"{command} failed")
    seconds = time.perf_counter() - start
    watcher.join()
    return seconds, peak[0]


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    while process.poll() is None:
        tree = sum(_private_bytes(pid) for pid in _tree(process.pid))
        peak[0] = max(peak[0], tree / 1e9)
        time.sleep(0.05)


def _tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    except OSError:
        return [pid]
    return [pid, *(p for child in children for p in _tree(int(child)))]


def _private_bytes(pid: int) -> int:
    """Resident memory, with what is shared counted in every process."""
    try:
        fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    except OSError:
        return 0
    return int(fields[1]) * 4096


PEER = "import sys, pandas; pandas.read_json(sys.argv[1], lines=True)"


def rows_for(path: Path, size: int, metrics: str | None) -> list[list[str]]:
    """The table's lines for one size."""
    cli = [sys.executable, "-m", "lm_eval_calibration", "score", str(path), "--json"]
    cases = {
        "`--metrics acc`: reading and one metric": [*cli, "--metrics", "acc", "--replicates", "2"],
        "every metric, intervals, null bands": cli + (["--metrics", metrics] if metrics else []),
    }
    if size <= PEER_SIZE:
        cases["peer: `pandas.read_json`, nothing computed"] = [
            sys.executable,
            "-c",
            PEER,
            str(path),
        ]
    lines = []
    for what, command in cases.items():
        seconds, peak = measure(command)
        targeted = size == TARGET_SIZE and what.startswith("every")
        lines.append(
            [
                f"{size:,}",
                f"{path.stat().st_size / 1e9:.2f}",
                what,
                f"{seconds:.1f}",
                verdict(seconds, below=TARGET_SECONDS) if targeted else "",
                f"{peak:.2f}",
                verdict(peak, below=TARGET_GB) if targeted else "",
            ]
        )
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    """Write the files, score them, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--metrics", help="instead of every metric")
    parser.add_argument("--folder", type=Path, help="where the files go; they are left there")
    options = parser.parse_args(argv)
    print(machine_facts("numpy", "scipy", "pandas", "lm_eval"))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        for size in options.sizes:
            path = folder / f"samples_synthetic_{size}.jsonl"
            if not path.exists():
                write_samples(path, size)
            rows += rows_for(path, size, options.metrics)
    print(f"\n{markdown_table(HEADER, rows)}")


if __name__ == "__main__":
    main()
