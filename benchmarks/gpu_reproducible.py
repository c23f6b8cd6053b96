"""`reproducible=true` on one GPU: whether the bits are the same in other company, and what that costs.

    make gpu-bench TOKENIZER=<folder of a checkpoint> DATA=../shared/data

Models of random weights, as in gpu.py, whose options it has. Each is asked for a task's documents freely and
reproducibly, and by a second wrapper for some of them, in batches of another size; likewise for texts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gpu
import scoring

HEADER = (
    "model",
    "task",
    "documents",
    "free, s",
    "reproducible, s",
    "speed",
    "by",
    "same bits alone",
)


def rows(options: Any, words: Any, until: float) -> Iterator[list[str]]:
    """Log-likelihoods of each model and task, then texts."""
    for label in options.models:
        model = gpu.made(gpu.SHAPES[label], options, words)
        for name in options.cases:
            if time.monotonic() < until:
                yield [label, scoring.CASES[name].label, *_scored(model, words, name, options)]
        if time.monotonic() < until:
            yield [label, "greedy texts", *_written(model, words, options)]
        del model


def _scored(model: Any, words: Any, name: str, options: Any) -> list[str]:
    free = gpu.evaluated(gpu.wrapped("hf-fast", model, words, 8), name, options)
    lm = gpu.wrapped("hf-fast", model, words, 8, reproducible=True)
    own = gpu.evaluated(lm, name, options)
    fewer = argparse.Namespace(**{**vars(options), "limit": max(own.documents // 5, 1)})
    other = gpu.wrapped("hf-fast", model, words, 1, reproducible=True)
    part = gpu.evaluated(other, name, fewer)
    several = len(scoring.CASES[name].tasks) > 1  # (of which the limit is each one's)
    same = "-" if several else str(part.values == own.values[: len(part.values)]).lower()
    by = [c.made[0] for c in lm.trust.candidates if c.made and c.reason is None]
    return [
        str(own.documents), f"{free.seconds:.1f}", f"{own.seconds:.1f}",
        f"{free.seconds / own.seconds:.0%}", type(by[0]).__name__ if by else "hf", same,
    ]  # fmt: skip


def _written(model: Any, words: Any, options: Any) -> list[str]:
    prompts, room = (6, 6) if options.toy else (256, 128)
    _, free = gpu.generated(gpu.wrapped("hf-fast", model, words, 1), prompts, room)
    lm = gpu.wrapped("hf-fast", model, words, 1, reproducible=True)
    texts, own = gpu.generated(lm, prompts, room)
    fewer, _ = gpu.generated(gpu.wrapped("hf-fast", model, words, 8, reproducible=True), 3, room)
    by = next((way.kind for way in lm._generation.ways if way.reason is None), "hf")
    same = str(fewer == texts[: len(fewer)]).lower()
    return [str(prompts), f"{free:.1f}", f"{own:.1f}", f"{free / own:.0%}", by, same]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the table, line by line."""
    options, words, until = gpu.begun((__doc__ or "").splitlines()[0], argv)
    gpu.printed(HEADER, rows(options, words, until))


if __name__ == "__main__":
    main()
