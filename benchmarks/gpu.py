"""`hf-fast` beside `hf` on one GPU: real tasks, models of random weights that are made on the device.

    make gpu-bench TOKENIZER=<folder of a checkpoint> DATA=../shared/data

Needs no network and no weights: speed and agreement do not depend on what was learned. Rows are
printed as they come, and what does not fit into `--seconds` is said to be left out. `--toy` runs
all of it at a small size, on a CPU too. First, for each attention implementation that can be had
here, whether `hf-fast` runs and agrees; then the table; then generation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import scoring
from common import machine_facts, markdown_table

from lm_eval_calibration.harness.api import rolling_value

HEADER = (
    "model", "task", "documents", "`hf`, s", "`hf-fast`, s", "ratio", "by", "largest difference, nats",
    "`hf` from itself, nats", "`hf`, GB", "`hf-fast`, GB", "share of time in kernels",
)  # fmt: skip
KEPT = ("arc25fixed", "mmlu5", "arc", "hellaswag")
DOCUMENTS = {"arc25fixed": 100, "mmlu5": 200, "arc": 400, "hellaswag": 300}
IMPLEMENTATIONS = (
    "eager", "sdpa", "flex_attention", "flash_attention_2", "kernels-community/flash-attn", "paged|sdpa",
)  # fmt: skip


class Shape(NamedTuple):
    """A kind of model: its configuration class and sizes, at full size and as a toy."""

    config: str
    full: dict[str, Any]
    toy: dict[str, Any]


TOY = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 8192,
}  # fmt: skip


def _sizes(hidden: int, inner: int, layers: int, heads: int, few: int) -> dict[str, Any]:
    values = (hidden, inner, layers, heads, few, 8192)
    return dict(zip(TOY, values, strict=True))


EXPERTS = {"num_experts": 64, "num_experts_per_tok": 8, "moe_intermediate_size": 1024}
FEW_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
STATES = {
    "linear_num_key_heads": 16, "linear_num_value_heads": 32, "linear_key_head_dim": 128,
    "linear_value_head_dim": 128, "head_dim": 256,
}  # fmt: skip
FEW_STATES = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "head_dim": 16,
}  # fmt: skip
SHAPES = {
    "Llama-3.2-1B": Shape("LlamaConfig", _sizes(2048, 8192, 16, 32, 8), TOY),
    "Qwen2.5-7B": Shape("Qwen2Config", _sizes(3584, 18944, 28, 28, 4), TOY),
    "hybrid of 4B (Qwen3.5's layers)": Shape(
        "Qwen3_5TextConfig",
        {**_sizes(2560, 9216, 32, 16, 4), **STATES},
        {**TOY, "num_hidden_layers": 4, **FEW_STATES},
    ),
    "mixture of 64 experts (Qwen3's layers)": Shape(
        "Qwen3MoeConfig", {**_sizes(2048, 6144, 16, 32, 4), **EXPERTS}, {**TOY, **FEW_EXPERTS}
    ),
}


def made(shape: Shape, options: Any, words: Any, **more: Any) -> Any:
    """A model of random weights, on the device."""
    import torch
    import transformers

    sizes = shape.toy if options.toy else shape.full
    config = getattr(transformers, shape.config)(vocab_size=len(words), **sizes)
    torch.manual_seed(0)
    dtype = getattr(torch, options.dtype)
    with torch.device(options.device):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype, **more)
    return model.eval()


class Run(NamedTuple):
    """What one evaluation call took and said."""

    seconds: float
    peak: float
    values: list[float]
    documents: int


def evaluated(lm: Any, name: str, options: Any) -> Run:
    """One evaluation call."""
    import torch
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    case = scoring.CASES[name]
    manager = TaskManager(include_path=scoring._fixed_examples() if case.first_n else None)
    on_gpu = options.device.startswith("cuda")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    results = simple_evaluate(
        model=lm, tasks=[f"{task}_fixed" if case.first_n else task for task in case.tasks],
        task_manager=manager, limit=options.limit or DOCUMENTS[name], num_fewshot=case.shots or None,
        bootstrap_iters=0,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    samples = [sample for task in results["samples"].values() for sample in task]
    peak = torch.cuda.max_memory_allocated() / 1e9 if on_gpu else float("nan")
    values = [r[0] for sample in samples for r in sample["filtered_resps"]]
    return Run(seconds, peak, values, len(samples))


def in_kernels(lm: Any, name: str, options: Any) -> float:
    """The share of a call's time in which a kernel runs (on a CPU: an operator)."""
    from torch.profiler import ProfilerActivity, profile

    on_gpu = options.device.startswith("cuda")
    activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
    with profile(activities=[activity]) as profiled:
        run = evaluated(lm, name, options)
    found = profiled.key_averages()
    field = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    return float(sum(getattr(event, field) for event in found)) / 1e6 / run.seconds


def wrapped(kind: str, model: Any, words: Any, size: Any, **more: Any) -> Any:
    """The harness's model, or ours, of a model that is there."""
    from lm_eval.api.registry import get_model

    return get_model(kind)(
        pretrained=model, tokenizer=words, backend="causal", batch_size=size,
        device=str(model.device), max_length=4096, softmax_dtype="float32", **more,
    )  # fmt: skip


def rows(options: Any, words: Any, until: float) -> Iterator[list[str]]:
    """The table's, one at a time."""
    for label in options.models:
        model = made(SHAPES[label], options, words)
        size = "auto" if options.device.startswith("cuda") else 8
        for name in options.cases:
            if time.monotonic() > until:
                yield [label, scoring.CASES[name].label, "left out: no time", *[""] * 9]
                continue
            fast = wrapped("hf-fast", model, words, size)
            ours = evaluated(fast, name, options)
            slow = evaluated(wrapped("hf", model, words, size), name, options)
            other = evaluated(wrapped("hf", model, words, 1 if options.toy else 4), name, options)
            share = in_kernels(fast, name, options)
            by = [c.made[0] for c in fast.trust.candidates if c.made and c.reason is None]
            yield [
                label, scoring.CASES[name].label, str(ours.documents), f"{slow.seconds:.1f}",
                f"{ours.seconds:.1f}", f"{slow.seconds / ours.seconds:.1f}",
                type(by[0]).__name__ if by else f"hf ({fast.trust.reason})",
                f"{_apart(slow, ours):.1e}", f"{_apart(slow, other):.1e}", f"{slow.peak:.2f}",
                f"{ours.peak:.2f}", f"{100 * share:.0f} %",
            ]  # fmt: skip
        del model


def written(options: Any, words: Any, until: float) -> Iterator[list[str]]:
    """The table of generation, one model at a time: `hf` on a few prompts, for it takes them one by one."""
    prompts, room = (6, 6) if options.toy else (256, 128)
    few = min(prompts, 8)
    for label in options.models:
        if time.monotonic() > until:
            yield [label, "left out: no time", *[""] * 7]
            continue
        model = made(SHAPES[label], options, words)
        fast = wrapped("hf-fast", model, words, 1)
        ours, seconds = generated(fast, prompts, room)
        one, one_seconds = generated(wrapped("hf", model, words, 1), few, room)
        many, many_seconds = generated(wrapped("hf", model, words, 64), prompts, room)
        rates = (few / one_seconds, prompts / many_seconds, prompts / seconds)
        by = next((way.kind for way in fast._generation.ways if way.reason is None), "hf")
        alike = (_alike(one, found[:few]) for found in (ours, many))
        yield [
            label, by, str(prompts), *(f"{rate * room:,.0f}" for rate in rates),
            f"{rates[2] / rates[0]:.1f}", f"{rates[2] / rates[1]:.1f}",
            *(f"{count} of {few}" for count in alike),
        ]  # fmt: skip
        del model, fast


def _alike(some: Sequence[str], others: Sequence[str]) -> int:
    return sum(a == b for a, b in zip(some, others, strict=True))


def generated(lm: Any, count: int, room: int) -> tuple[list[str], float]:
    """Greedy texts after prompts of many lengths that begin alike, and the seconds that they took."""
    from lm_eval.api.instance import Instance

    block = "A question, and its answer. " * 40
    settings = {"until": [], "max_gen_toks": room, "do_sample": False}
    requests = [
        Instance("generate_until", {}, (f"{block}{'Word ' * (n % 97)}{n}", dict(settings)), n)
        for n in range(count)
    ]
    start = time.perf_counter()
    found = lm.generate_until(requests, disable_tqdm=True)
    return list(found), time.perf_counter() - start


def _apart(one: Run, other: Run) -> float:
    pairs = zip(map(rolling_value, one.values), map(rolling_value, other.values), strict=True)
    return max(abs(a - b) for a, b in pairs)


def implementations(options: Any, words: Any) -> Iterator[list[str]]:
    """Of each attention implementation: whether `hf-fast` runs, by what, and how far from `hf`."""
    shape = SHAPES["Llama-3.2-1B"]
    small = argparse.Namespace(**{**vars(options), "limit": 4})
    for name in IMPLEMENTATIONS:
        try:
            model = made(shape, options, words, attn_implementation=name)
        except Exception as error:  # noqa: BLE001 - not installed here, or not for this device
            yield [name, f"not to be had here ({type(error).__name__})", "", ""]
            continue
        try:
            fast = wrapped("hf-fast", model, words, 4)
            ours = evaluated(fast, "arc", small)
            slow = evaluated(wrapped("hf", model, words, 4), "arc", small)
        except Exception as error:  # noqa: BLE001
            yield [name, f"fails: {type(error).__name__}: {error}"[:120], "", ""]
            continue
        by = [c.made[0] for c in fast.trust.candidates if c.made and c.reason is None]
        used = type(by[0]).__name__ if by else "hf"
        yield [name, "runs", used, f"{_apart(slow, ours):.1e}"]


def begun(description: str, argv: Sequence[str] | None) -> tuple[Any, Any, float]:
    """Options, the tokenizer, and until when rows begin; the machine's facts are printed, and the data at hand."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--tokenizer", required=True, help="folder of a checkpoint")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--seconds", type=float, default=540.0, help="no row begins later")
    parser.add_argument("--toy", action="store_true", help="small models, few documents")
    parser.add_argument("--limit", type=int, help="documents, instead of each task's number")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--cases", nargs="+", choices=KEPT, default=list(KEPT))
    options = parser.parse_args(argv)
    until = time.monotonic() + options.seconds
    options.limit = options.limit or (4 if options.toy else None)
    tokenizer = Path(options.tokenizer).resolve()
    import os

    import torch
    from transformers import AutoTokenizer

    import lm_eval_calibration  # noqa: F401 - registers `hf-fast`

    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    words = AutoTokenizer.from_pretrained(tokenizer)
    os.chdir(options.data)
    if options.device.startswith("cuda"):
        print(torch.cuda.get_device_name(), flush=True)
    print(machine_facts("torch", "transformers", "lm_eval"), flush=True)
    return options, words, until


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and the tables, line by line."""
    options, words, until = begun((__doc__ or "").splitlines()[0], argv)
    generation = ("generation", "by", "prompts", "`hf` at 1, tokens/s", "at 64", "`hf-fast`", "ratio", "to 64",
                  "texts as `hf`'s at 1", "of `hf` at 64")  # fmt: skip
    parts = (
        (("attention", "", "by", "largest difference, nats"), implementations(options, words)),
        (HEADER, rows(options, words, until)),
        (generation, written(options, words, until)),
    )
    for header, lines in parts:
        printed(header, lines)


def printed(header: Sequence[str], lines: Iterator[list[str]]) -> None:
    """A table, line by line."""
    print(f"\n{markdown_table(header, [])}", flush=True)
    for line in lines:
        print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
