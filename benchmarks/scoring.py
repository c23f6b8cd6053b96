"""`hf-fast` beside `hf`: time and memory of whole evaluation calls, on real tasks.

    python benchmarks/scoring.py --model <SmolLM2-135M-Instruct> --data ../shared/data --repeats 3

Every figure is of a process of its own, `hf` and `hf-fast` in turn; loading the model is left out.
The limit is what the network alone needs in the same process: one plain pass over as many tokens as
are different, in batches of the same sizes without padding's share, the vocabulary matrix on the
positions that are scored, and (of models that are packed) attention from each batch to its prefix.
The executor's own time, without harness and check, stands against it; and against the same without
that attention, which no plain pass over these tokens has.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from common import machine_facts, markdown_table, verdict


class Case(NamedTuple):
    """A task, how much of it, and the speed-up that is aimed at."""

    label: str
    tasks: tuple[str, ...]
    limit: int | None
    shots: int = 0
    first_n: bool = False
    target: float = 0.0


REPRODUCIBLE = "reproducible"
"""`hf-fast` with that argument, as this benchmark calls it."""
ARC = ("arc_challenge",)
CASES = {
    "arc": Case("ARC-Challenge, 0-shot", ARC, 200, target=3),
    "hellaswag": Case("HellaSwag, 0-shot", ("hellaswag",), 200, target=3),
    "arc25": Case("ARC-Challenge, 25 random shots", ARC, 12, 25, target=4),
    "arc25fixed": Case("ARC-Challenge, 25 fixed shots", ARC, 24, 25, True, target=20),
    "mmlu5": Case(
        "MMLU, two whole subjects, 5 shots",
        ("mmlu_anatomy", "mmlu_us_foreign_policy"),
        None,
        5,
        target=12,
    ),
    "mmlu20": Case("MMLU anatomy, 5 shots", ("mmlu_anatomy",), 20, 5),
}
HEADER = (
    "task", "by", "documents", "`hf`, s", "`hf-fast`, s", "ratio", "target", "scoring alone, s",
    "limit, s", "of the limit", "of a plain pass", "largest difference, nats", "`hf`, GB", "`hf-fast`, GB",
)  # fmt: skip


def work(
    model: str, case: Case, pretrained: str, dtype: str, limits: bool = True
) -> dict[str, Any]:
    """Seconds of one evaluation call, peak memory, and all log-likelihoods; the executor's limit, if asked for."""
    from lm_eval import simple_evaluate
    from lm_eval.api.registry import get_model
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401

    manager = TaskManager(include_path=_fixed_examples() if case.first_n else None)
    reproducible = {"reproducible": True} if model == REPRODUCIBLE else {}
    lm = get_model("hf-fast" if reproducible else model)(
        pretrained=pretrained, device="cpu", batch_size=16, dtype=dtype, softmax_dtype="float32",
        **reproducible,
    )  # fmt: skip
    seen: list[Any] = []
    inner = lm._loglikelihood_tokens
    lm._loglikelihood_tokens = lambda requests, **k: (seen.extend(requests), inner(requests, **k))[
        1
    ]
    start = time.perf_counter()
    results = simple_evaluate(
        model=lm, tasks=[f"{task}_fixed" if case.first_n else task for task in case.tasks],
        task_manager=manager, limit=case.limit, num_fewshot=case.shots or None, bootstrap_iters=0,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    samples = [sample for task in results["samples"].values() for sample in task]
    return {
        "seconds": seconds,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        "documents": len(samples),
        "lls": [r[0] for sample in samples for r in sample["filtered_resps"]],
        **(_against_the_limit(lm, seen) if limits and model == "hf-fast" else {}),
    }


def _against_the_limit(lm: Any, requests: list[Any]) -> dict[str, Any]:
    """Seconds of the executor alone, and of the network alone on as many tokens."""
    import torch

    from lm_eval_calibration.scoring.plan import batches, plan_rows
    from lm_eval_calibration.scoring.sequences import Request, inputs_of

    plain = [Request(context, continuation) for _, context, continuation in requests]
    trusted = [c for c in lm.trust.candidates if c.reason is None and c.checked]
    if not trusted:
        raise SystemExit(f"hf-fast left the work to hf: {lm.trust.reason}")
    executor = trusted[0].executor
    rows = plan_rows(inputs_of(plain, lm.max_length))
    made = list(batches(rows, lambda: lm._batch_tokens))
    prefixes = {id(row.prefix): len(row.prefix.tokens) for row in rows if row.prefix}
    shapes = [(len(b), round(sum(map(len, b)) / len(b))) for b in made]
    shapes += [(1, size) for size in prefixes.values()]
    scored = len({
        (id(row), place)
        for row in rows
        for tokens, path in zip(row.inputs, row.paths, strict=True)
        for number in tokens.requests
        for place in path[-len(plain[number].continuation) :].tolist()
    })  # fmt: skip
    matrix = lm.model.get_output_embeddings()
    vocabulary, width = matrix.weight.shape
    with torch.inference_mode():
        start = time.perf_counter()
        executor.score(plain)
        scoring = time.perf_counter() - start
        start = time.perf_counter()
        for shape in shapes:
            lm.model.base_model(torch.randint(0, vocabulary, shape), use_cache=False)
        for first in range(0, scored, 300):
            size = min(300, scored - first)
            matrix(torch.randn(size, width, dtype=executor.dtype))
        plainly = time.perf_counter() - start
        if hasattr(executor, "network"):
            _attend(lm.model.config, [(sum(map(len, b)), _end(b[0].prefix)) for b in made])
        limit = time.perf_counter() - start
    return {
        "scoring": scoring, "limit": limit, "plainly": plainly, "by": type(executor).__name__
    }  # fmt: skip


def _end(prefix: Any) -> int:
    return prefix.end if prefix else 0


def _attend(config: Any, batches: list[tuple[int, int]]) -> None:
    """Attention alone, in all layers, of so many tokens to prefixes of so many."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    heads, few = config.num_attention_heads, config.num_key_value_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    for tokens, prefix in batches:
        query = torch.randn(1, few, heads // few * tokens, size)
        key, value = torch.randn(2, 1, few, prefix, size)
        for _ in range(config.num_hidden_layers if prefix else 0):
            scaled_dot_product_attention(query, key, value)


def _fixed_examples() -> str:
    """A folder with ARC-Challenge as the harness has it, but with the same examples for all."""
    import lm_eval

    folder = tempfile.mkdtemp()
    original = Path(lm_eval.__file__).parent / "tasks" / "arc" / "arc_challenge.yaml"
    text = f"include: {original}\ntask: arc_challenge_fixed\nfewshot_config: {{sampler: first_n}}\n"
    (Path(folder) / "fixed.yaml").write_text(text, encoding="utf-8")
    return folder


def measure(model: str, name: str, options: Any, limits: bool = True) -> dict[str, Any]:
    """`work` in a process of its own, beside the data."""
    command = [sys.executable, str(Path(__file__).resolve()), "--case", name, "--lm", model]
    command += ["--model", str(Path(options.model).resolve()), "--dtype", options.dtype]
    command += ["--limit", str(options.limit)] if options.limit else []
    command += [] if limits else ["--no-limits"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=options.data, env=environment, check=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(name: str, options: Any) -> list[str]:
    """One line of the table: the median of pairs."""
    case = CASES[name]
    pairs = [
        (measure("hf", name, options), measure("hf-fast", name, options))
        for _ in range(options.repeats)
    ]
    slow, fast = ([pair[i] for pair in pairs] for i in (0, 1))
    ratio = median(a["seconds"] / b["seconds"] for a, b in pairs)
    difference = max(abs(x - y) for x, y in zip(slow[0]["lls"], fast[0]["lls"], strict=True))
    return [
        case.label,
        fast[0]["by"],
        str(fast[0]["documents"]),
        f"{median(a['seconds'] for a in slow):.1f}",
        f"{median(b['seconds'] for b in fast):.1f}",
        f"{ratio:.1f}",
        verdict(ratio, at_least=case.target) if case.target else "",
        f"{median(b['scoring'] for b in fast):.1f}",
        f"{median(b['limit'] for b in fast):.1f}",
        f"{median(b['scoring'] / b['limit'] for b in fast):.2f}",
        f"{median(b['scoring'] / b['plainly'] for b in fast):.2f}",
        f"{difference:.1e}",
        f"{max(a['peak'] for a in slow):.2f}",
        f"{max(b['peak'] for b in fast):.2f}",
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a checkpoint")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--limit", type=int, help="other than each case's number of documents")
    parser.add_argument("--case", choices=CASES, help="measure this one here, and print JSON")
    parser.add_argument("--no-limits", action="store_true", help="without the limit")
    parser.add_argument("--lm", choices=["hf", "hf-fast", REPRODUCIBLE])
    options = parser.parse_args(argv)
    if options.case:
        case = CASES[options.case]
        if options.limit:
            case = case._replace(limit=options.limit)
        limits = not options.no_limits
        print(json.dumps(work(options.lm, case, options.model, options.dtype, limits)))
        return
    print(machine_facts("torch", "transformers", "lm_eval"))
    print(f"\n{markdown_table(HEADER, [])}")
    for name in options.cases:  # line by line: a later case may take an hour
        print(f"| {' | '.join(row(name, options))} |", flush=True)


if __name__ == "__main__":
    main()
