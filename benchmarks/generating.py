"""`hf-fast` beside `hf` where texts are generated: whole evaluation calls of wrappers, on real tasks.

    python benchmarks/generating.py --model <SmolLM2-135M-Instruct> --data ../shared/data --repeats 3
    python benchmarks/generating.py --model <Qwen2.5-Coder-1.5B-Instruct> --dtype bfloat16 --best 8 16

Every figure is of a process of its own: `hf` at batch size 1, as a user types it, `hf` at the best of some
batch sizes, and `hf-fast`, in turn: seconds in the model's methods, the trial included, loading and the
harness's own work left out. `--one N` has batches of one take N documents, and counts them up. The limit is what the
steps cost alone, in `hf-fast`'s process: the network on as many rows, step by step, and on the prompts'
different tokens, without attention to what was before, choosing, stopping or harness.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from common import machine_facts, markdown_table, verdict


class Case(NamedTuple):
    """A wrapper on a task, how much of it, and the speed-up over batches of one that is aimed at."""

    label: str
    wrapper: str
    arguments: dict[str, Any]
    task: str
    limit: int
    settings: dict[str, Any]
    shots: int = 0
    target: float = 0.0


REPRODUCIBLE = "reproducible"
"""`hf-fast` with that argument, as this benchmark calls it."""
SHORT = {"max_gen_toks": 32, "temperature": 0.7, "do_sample": True}
LONG = {**SHORT, "max_gen_toks": 256}
CASES = {
    "gsm8k": Case(
        "GSM8K, `self_consistency`, 8 samples of up to 256 tokens", "self_consistency", {"candidates": 8},
        "calib_gsm8k_cot_zeroshot", 4, LONG, target=6,
    ),
    "triviaqa": Case(
        "TriviaQA, `self_correct`, 4 samples of up to 32 tokens", "self_correct", {"candidates": 4},
        "calib_triviaqa", 16, SHORT, 2, target=1,
    ),
    "p_true": Case(
        "TriviaQA, `p_true`", "p_true", {}, "calib_triviaqa", 32, {"max_gen_toks": 32}, 2,
    ),
}  # fmt: skip
HEADER = (
    "task", "documents", "`hf`, s", "its best, s", "at", "`hf-fast`, s", "ratio", "target", "to its best",
    "target", "writing, s", "limit, s", "of the limit", "tokens/s", "`hf`, GB", "best, GB", "`hf-fast`, GB",
)  # fmt: skip


def work(base: str, size: int, case: Case, options: Any) -> dict[str, Any]:
    """Seconds of one evaluation call, and peak memory."""
    from lm_eval import simple_evaluate
    from lm_eval.api.registry import get_model

    import lm_eval_calibration  # noqa: F401

    reproducible = {"reproducible": True} if base == REPRODUCIBLE else {}
    lm = get_model(case.wrapper)(
        base="hf-fast" if reproducible else base, pretrained=options.model, device=options.device,
        batch_size=size, dtype=options.dtype, **reproducible, **case.arguments,
    )  # fmt: skip
    shapes: list[tuple[int, int]] = []
    spent = _noting(shapes) if base == "hf-fast" else {}
    seconds = _timed(lm.base)
    results = simple_evaluate(
        model=lm, tasks=[case.task], limit=case.limit, bootstrap_iters=0, num_fewshot=case.shots or None,
        apply_chat_template=True, fewshot_as_multiturn=bool(case.shots), gen_kwargs=dict(case.settings),
        random_seed=0, numpy_random_seed=0, torch_random_seed=0,
    )  # fmt: skip
    return {
        "seconds": sum(seconds),
        "documents": len({sample["doc_id"] for sample in results["samples"][case.task]}),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        **spent,
        **({"limit": _limit(lm.base, shapes)} if shapes else {}),
    }


def _timed(lm: Any) -> list[float]:
    """The seconds of each call of a model's methods, as they come."""
    seconds: list[float] = []

    def timed(method: Any) -> Any:
        def call(*given: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*given, **options)
            finally:
                seconds.append(time.perf_counter() - start)

        return call

    for name in ("generate_until", "loglikelihood"):
        setattr(lm, name, timed(getattr(lm, name)))
    return seconds


def _noting(shapes: list[tuple[int, int]]) -> dict[str, float]:
    """Have the shapes of all passes noted, the time that writing takes, and how many tokens are written."""
    from lm_eval_calibration.generating.side_by_side import SideBySide
    from lm_eval_calibration.scoring.network import Network

    spent = {"writing": 0.0, "tokens": 0}
    run, write = Network.run, SideBySide.write

    def noted(self: Any, tokens: Any, *rest: Any) -> Any:
        if spent.get("inside"):
            shapes.append(tuple(tokens.shape))
        return run(self, tokens, *rest)

    def timed(self: Any, asked: Any, done: Any) -> None:
        def counted(number: int, text: Any) -> None:
            spent["tokens"] += len(text.tokens)
            done(number, text)

        start, spent["inside"] = time.perf_counter(), 1
        write(self, asked, counted)
        spent["inside"] = 0
        spent["writing"] += time.perf_counter() - start

    Network.run, SideBySide.write = noted, timed  # type: ignore[method-assign]
    return spent


def _limit(lm: Any, shapes: Sequence[tuple[int, int]]) -> float:
    """Seconds of the network alone on such shapes, and of the vocabulary matrix on each row's last place."""
    import torch

    matrix = lm.model.get_output_embeddings()
    vocabulary, width = matrix.weight.shape
    start = time.perf_counter()
    with torch.inference_mode():
        for shape in shapes:
            tokens = torch.randint(0, vocabulary, shape, device=lm.device)
            lm.model.base_model(tokens, use_cache=False)
            matrix(torch.randn(shape[0], width, dtype=matrix.weight.dtype, device=lm.device))
    return time.perf_counter() - start


def measure(base: str, size: int, name: str, options: Any) -> dict[str, Any]:
    """`work` in a process of its own, beside the data."""
    limit = options.limit or CASES[name].limit
    documents = min(options.one or limit, limit) if (base, size) == ("hf", 1) else limit
    command = [sys.executable, str(Path(__file__).resolve()), "--case", name, "--base", base]
    command += ["--model", str(Path(options.model).resolve()), "--dtype", options.dtype]
    command += ["--size", str(size), "--device", options.device]
    command += ["--limit", str(documents)]
    command += ["--tokens", str(options.tokens)] if options.tokens else []
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=options.data, env=environment, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    return {**found, "seconds": found["seconds"] * limit / documents}


def row(name: str, options: Any) -> list[str]:
    """One line of the table: medians of what was measured in turn."""
    case, best = CASES[name], options.best[0]
    if len(options.best) > 1:
        tried = {size: measure("hf", size, name, options)["seconds"] for size in options.best}
        best = min(tried, key=lambda size: tried[size])
    rounds = [
        (measure("hf", 1, name, options), measure("hf", best, name, options), measure("hf-fast", 1, name, options))
        for _ in range(options.repeats)
    ]  # fmt: skip
    one, many, fast = ([each[i] for each in rounds] for i in range(3))
    ratio = median(a["seconds"] / c["seconds"] for a, _, c in rounds)
    to_best = median(b["seconds"] / c["seconds"] for _, b, c in rounds)
    return [
        case.label,
        str(fast[0]["documents"]),
        f"{median(a['seconds'] for a in one):.1f}",
        f"{median(b['seconds'] for b in many):.1f}",
        str(best),
        f"{median(c['seconds'] for c in fast):.1f}",
        f"{ratio:.1f}",
        verdict(ratio, at_least=case.target) if case.target else "",
        f"{to_best:.1f}",
        verdict(to_best, at_least=1.5) if case.target else "",
        f"{median(c['writing'] for c in fast):.1f}",
        f"{median(c['limit'] for c in fast):.1f}",
        f"{median(c['writing'] / c['limit'] for c in fast):.2f}",
        f"{median(c['tokens'] / c['writing'] for c in fast):.0f}",
        *(f"{max(x['peak'] for x in each):.2f}" for each in (one, many, fast)),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--best",
        type=int,
        nargs="+",
        default=[32],
        help="batch sizes of `hf`, of which the best counts",
    )
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--limit", type=int, help="other than each case's number of documents")
    parser.add_argument("--one", type=int, help="documents for `hf` in batches of one")
    parser.add_argument(
        "--tokens", type=int, help="of a text at most, other than each case's number"
    )
    parser.add_argument("--case", choices=CASES, help="measure this one here, and print JSON")
    parser.add_argument("--base", choices=["hf", "hf-fast", REPRODUCIBLE])
    parser.add_argument("--size", type=int, default=1)
    options = parser.parse_args(argv)
    if options.case:
        case = CASES[options.case]
        room = options.tokens or case.settings["max_gen_toks"]
        settings = {**case.settings, "max_gen_toks": room}
        case = case._replace(limit=options.limit or case.limit, settings=settings)
        print(json.dumps(work(options.base, options.size, case, options)))
        return
    print(machine_facts("torch", "transformers", "lm_eval"))
    print(f"\n{markdown_table(HEADER, [])}")
    for name in options.cases:  # (line by line: a later case may take an hour)
        print(f"| {' | '.join(row(name, options))} |", flush=True)


if __name__ == "__main__":
    main()
