"""`hf-fast` with `reproducible=true` beside itself without: whole evaluation calls, on real tasks.

    python benchmarks/reproducible.py --model <SmolLM2-135M-Instruct> --data ../shared/data --repeats 3

Every figure is of a process of its own, the two in turn; loading the model is left out, and where texts are written all
but the model's methods. A last run of each task at another limit is compared with the first: its log-likelihoods must
be the same to the bit.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from typing import Any

import generating
from common import machine_facts, markdown_table
from scoring import CASES, REPRODUCIBLE, measure

HEADER = (
    "task", "documents", "free, s", "reproducible, s", "speed", "same bits at another limit",
    "largest difference, nats",
)  # fmt: skip


def row(name: str, options: Any) -> list[str]:
    """One line of the table: the median of pairs."""
    pairs = [
        [measure(lm, name, options, limits=False) for lm in ("hf-fast", REPRODUCIBLE)]
        for _ in range(options.repeats)
    ]
    free, own = ([pair[i] for pair in pairs] for i in (0, 1))
    speed = median(a["seconds"] / b["seconds"] for a, b in pairs)
    fewer = argparse.Namespace(**{**vars(options), "limit": max(own[0]["documents"] // 3, 1)})
    part = measure(REPRODUCIBLE, name, fewer)["lls"]
    several = len(CASES[name].tasks) > 1  # (of which the limit is each one's)
    same = "-" if several else str(part == own[0]["lls"][: len(part)]).lower()
    gap = max(abs(x - y) for x, y in zip(free[0]["lls"], own[0]["lls"], strict=True))
    return [
        CASES[name].label, str(own[0]["documents"]), f"{median(a['seconds'] for a in free):.1f}",
        f"{median(b['seconds'] for b in own):.1f}", f"{speed:.0%}", same, f"{gap:.1e}",
    ]  # fmt: skip


def of_texts(name: str, options: Any) -> list[str]:
    """The same where texts are written."""
    given = argparse.Namespace(**vars(options), device="cpu", one=None, tokens=None)
    pairs = [
        [generating.measure(base, 1, name, given) for base in ("hf-fast", REPRODUCIBLE)]
        for _ in range(options.repeats)
    ]
    free, own = (median(pair[i]["seconds"] for pair in pairs) for i in (0, 1))
    speed = median(a["seconds"] / b["seconds"] for a, b in pairs)
    documents = str(pairs[0][0]["documents"])
    label = generating.CASES[name].label
    return [label, documents, f"{free:.1f}", f"{own:.1f}", f"{speed:.0%}", "-", "-"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--cases", default="arc,hellaswag,arc25fixed,mmlu20")
    parser.add_argument("--texts", default="gsm8k,p_true", help="tasks of benchmarks/generating.py")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limit", type=int)
    options = parser.parse_args()
    print(machine_facts("torch", "transformers", "lm-eval"))
    print(f"\n{markdown_table(HEADER, [])}")
    for measured, names in ((row, options.cases), (of_texts, options.texts)):
        for name in filter(None, names.split(",")):
            print(f"| {' | '.join(measured(name, options))} |", flush=True)


if __name__ == "__main__":
    main()
