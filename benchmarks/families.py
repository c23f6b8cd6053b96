"""Which executor of `hf-fast` answers for each family of transformers, and how far from `hf` it is.

    python benchmarks/families.py [--dtype bfloat16] [--only mamba,llama]

Tiny random models of every text-generating family of the installed transformers (those of the tests), in the
tests' calls: without a context, short ones, longer ones that share a beginning, alone at many lengths.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers
from common import machine_facts, markdown_table
from lm_eval.models.huggingface import HFLM

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / part) for part in ("", "models")]

import families  # noqa: E402
from conftest import save_tiny_model  # noqa: E402
from test_families import CALLS, WITHOUT_CONTEXT, asked  # noqa: E402

from lm_eval_calibration.models.hf_fast import FastHFLM  # noqa: E402


class Found(NamedTuple):
    """What became of a family: who answered last, and the largest difference of an answer in nats."""

    kind: str
    by: str
    difference: float


def judged(kind: str, seq2seq: bool, tokenizer: Any, dtype: torch.dtype) -> Found:
    """`hf-fast` beside `hf` in batches of one, on one model."""
    try:
        model = families.made(kind, len(tokenizer), seq2seq=seq2seq).to(dtype)
        options: dict[str, Any] = {"tokenizer": tokenizer, "device": "cpu", "max_length": 512}
        options["backend"] = "seq2seq" if seq2seq else "causal"
        slow = HFLM(pretrained=model, batch_size=1, **options)
        calls = CALLS if seq2seq else [WITHOUT_CONTEXT, *CALLS]
        slow.loglikelihood(asked(CALLS[0]), disable_tqdm=True)
    except Exception as error:  # noqa: BLE001
        return Found(kind, f"not built so small, or not run by `hf` ({type(error).__name__})", 0.0)
    apart: list[float] = []
    try:
        fast = FastHFLM(pretrained=model, **options)
        for pairs in calls:  # (in turn: what some models compute depends on what they did before)
            found = fast.loglikelihood(asked(pairs), disable_tqdm=True)
            known = slow.loglikelihood(asked(pairs), disable_tqdm=True)
            apart += [abs(ours[0] - theirs[0]) for ours, theirs in zip(found, known, strict=True)]
    except Exception as error:  # noqa: BLE001
        return Found(kind, f"an error ({type(error).__name__}: {error})", float("nan"))
    left = [one for one in fast.trust.candidates if one.reason is None]
    return Found(kind, left[0].kind if left else "left to `hf`", max(apart))


def main() -> None:
    """Print the table, and the families by executor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    with (
        tempfile.TemporaryDirectory() as folder
    ):  # (of bytes: families have small vocabularies then)
        save_tiny_model(Path(folder))
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    kinds = [(k, False) for k in families.CAUSAL] + [(k, True) for k in families.SEQ2SEQ]
    if given.only:
        kinds = [one for one in kinds if one[0] in given.only.split(",")]
    started, by = time.perf_counter(), defaultdict(list)
    for kind, seq2seq in kinds:
        found = judged(kind, seq2seq, tokenizer, getattr(torch, given.dtype))
        print(f"{found.kind}: {found.by}, {found.difference:.1e}", file=sys.stderr, flush=True)
        by[found.by].append(found)
    print(machine_facts("torch", "transformers", "lm_eval"), end="\n\n")
    rows = [
        (name, str(len(them)), f"{max(f.difference for f in them):.1e}",
         ", ".join(f.kind for f in them) if len(them) < 25 else "...")
        for name, them in sorted(by.items(), key=lambda one: -len(one[1]))
    ]  # fmt: skip
    print(markdown_table(["by", "families", "largest difference, nats", "which"], rows))
    print(f"\n{given.dtype}, {time.perf_counter() - started:.0f} s.")


if __name__ == "__main__":
    main()
