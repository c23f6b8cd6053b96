"""`--model hf-fast` in the harness: `hf`'s numbers, whatever is asked of it."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval import simple_evaluate
from release import answers
from requesting import requested

from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.trust import Trust
from lm_eval_calibration.scoring.checking import Apart, agree
from lm_eval_calibration.scoring.continued import Continued
from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.scoring.packed import Packed
from lm_eval_calibration.scoring.sequences import Request

TASKS = ["toy_norm", "toy_several", "toy_mutual", "toy_inputs", "calib_toy_plain"]


@pytest.fixture
def fast(tiny_model: Path) -> FastHFLM:
    return FastHFLM(pretrained=str(tiny_model), device="cpu", batch_size=8, dtype="float32")


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
    return [requested(kind, a, i) for i, a in enumerate(arguments)]


def assert_same(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for (a, a_greedy), (b, b_greedy) in zip(found, expected, strict=True):
        assert a == pytest.approx(b, abs=1e-4)
        assert isinstance(a, float) and isinstance(a_greedy, bool)
        assert a_greedy == b_greedy


@pytest.mark.parametrize("shots", [0, 3])
@pytest.mark.parametrize("chat", [False, True])
def test_tasks(fast: FastHFLM, tiny_lm: Any, tasks: Any, shots: int, chat: bool) -> None:
    """Few shots, chat template, mutual information, options in the context: request by request."""
    samples = [
        simple_evaluate(
            model=model, tasks=TASKS, task_manager=tasks, limit=15, num_fewshot=shots,
            apply_chat_template=chat, bootstrap_iters=0,
        )["samples"]
        for model in (fast, tiny_lm)
    ]  # fmt: skip
    for task in TASKS:
        for a, b in zip(*(s[task] for s in samples), strict=True):
            assert_same(answers(a), answers(b))
    assert fast.trust.reason is None


PAIRS = [
    ("What is item 3?", " this"), ("", " a beginning"), ("What is item 3?", " that"),
    ("What is item 3?", " this"), ("trailing space ", "moves"), ("x", "y"),
    ("long " * 500, "is cut from the left"),
]  # fmt: skip


def test_requests_of_every_kind(fast: FastHFLM, tiny_lm: Any) -> None:
    """Empty contexts, duplicates, one token, left truncation."""
    asked = instances("loglikelihood", PAIRS)
    assert_same(fast.loglikelihood(asked), tiny_lm.loglikelihood(asked))
    assert fast.loglikelihood([]) == []


def test_rolling_and_generation(fast: FastHFLM, tiny_lm: Any) -> None:
    texts = instances("loglikelihood_rolling", [("a text of its own",), ("words " * 450,)])
    for a, b in zip(
        fast.loglikelihood_rolling(texts), tiny_lm.loglikelihood_rolling(texts), strict=True
    ):
        assert a == b  # (nothing is shared: they are `hf`'s)
    few = "An example of what is asked. " * 3
    settings = {"until": ["."], "max_gen_toks": 5}
    prompts = ["Once", f"{few}Once", f"{few}Once", f"{few}Once upon"]
    asked = instances("generate_until", [(prompt, settings) for prompt in prompts])
    assert fast.generate_until(asked) == tiny_lm.generate_until(asked)
    assert fast._generation.reason is None
    beams = instances("generate_until", [(p, {**settings, "num_beams": 2}) for p in prompts])
    assert fast.generate_until(beams) == tiny_lm.generate_until(beams)
    sampled = instances(
        "generate_until", [(few, {**settings, "do_sample": True, "temperature": 1.0})] * 6
    )
    assert len(set(fast.generate_until(sampled))) > 1


def test_answers_are_cached_as_hf_caches_them(fast: FastHFLM) -> None:
    kept = []

    class Hook:
        def add_partial(self, *arguments: Any) -> None:
            kept.append(arguments)

    fast.cache_hook = Hook()
    asked = instances("loglikelihood", PAIRS[:3])
    answers = fast.loglikelihood(asked)
    assert sorted(kept) == sorted(
        ("loglikelihood", pair, answer) for pair, answer in zip(PAIRS[:3], answers, strict=True)
    )


def test_an_engine_that_disagrees_is_not_used(
    fast: FastHFLM, tiny_lm: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Executor.score

    def wrong(self: Executor[Any], requests: Any, **options: Any) -> Any:
        return [
            a._replace(loglikelihood=a.loglikelihood - 0.1)
            for a in whole(self, requests, **options)
        ]

    monkeypatch.setattr(Executor, "score", wrong)
    asked = instances("loglikelihood", PAIRS)
    with caplog.at_level(logging.WARNING):
        assert_same(fast.loglikelihood(asked), tiny_lm.loglikelihood(asked))
        fast.loglikelihood(asked)
    said = [r.message for r in caplog.records if "hf-fast" in r.message]
    assert len(said) == 1
    assert "packed inputs and separate ones disagree" in said[0]


@pytest.mark.parametrize(
    ("errors", "exact", "half"),
    [
        ([0.0, 0.0, 1e-4], True, True),
        ([0.0, 0.0, 4e-4], False, True),
        ([1e-4, 1e-4, 1e-4], False, True),
        ([0.0, 0.0, 2e-3], False, True),
        ([0.1, 0.0, 0.4], False, True),
        ([0.0, 0.0, 0.6], False, False),
        ([0.2, 0.2, 0.2], False, False),
        ([0.0, math.nan, 0.0], False, False),
    ],
)
def test_what_rounding_explains(errors: list[float], exact: bool, half: bool) -> None:
    requests = [Request([1], [2, 3, 4, 5])] * 3  # four tokens: twice as much is allowed
    theirs = [-3.0, -5.0, -8.0]
    ours = [b - 2 * e for b, e in zip(theirs, errors, strict=True)]
    assert agree(requests, ours, theirs, torch.float32) is exact
    assert agree(requests, ours, theirs, torch.bfloat16) is half


@pytest.mark.parametrize(
    ("error", "noise", "same"),
    [(0.05, 0.0, True), (0.3, 0.0, False), (0.3, 0.15, True), (0.6, 9.0, False), (0.3, None, True)],
)
def test_in_16_bits_an_engine_may_be_off_as_hf_is_from_itself(
    error: float, noise: float | None, same: bool
) -> None:
    requests = [Request([1], [2, 3, 4, 5])] * 3
    theirs = [-3.0, -5.0, -8.0]
    ours = [-3.0 - 2 * error, -5.0, -8.0]
    known = None if noise is None else Apart(noise, 0.0)
    assert agree(requests, ours, theirs, torch.bfloat16, known) is same


def test_in_16_bits_a_model_that_cannot_be_computed_otherwise_is_tried_all_the_same(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="bfloat16")

    def fails(*_: Any) -> Any:
        raise TypeError("no head")

    monkeypatch.setattr(fast.trust, "_otherwise", fails)
    assert len(fast.loglikelihood(instances("loglikelihood", PAIRS[:3]))) == 3


def test_an_architecture_of_another_kind_is_left_to_hf(
    fast: FastHFLM, tiny_lm: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(self: Any) -> None:
        raise TypeError("its decoder takes no position_ids")

    for kind in (Packed, Continued):
        monkeypatch.setattr(kind, "__post_init__", refuse)
    asked = instances("loglikelihood", PAIRS)
    with caplog.at_level(logging.WARNING):
        assert_same(fast.loglikelihood(asked), tiny_lm.loglikelihood(asked))
    assert "takes no position_ids" in caplog.text


def test_longer_requests_are_checked_again(fast: FastHFLM, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    check = Trust._disagreement

    def counted(self: Trust, one: Any, plain: Any, longest: int, *given: Any) -> Any:
        lengths.append(longest)
        return check(self, one, plain, longest, *given)

    monkeypatch.setattr(Trust, "_disagreement", counted)
    for pairs in (PAIRS[:3], PAIRS[:2], PAIRS):
        fast.loglikelihood(instances("loglikelihood", pairs))
    assert len(lengths) == 2
    assert lengths[0] < lengths[1]


def test_by_name(tiny_model: Path, tasks: Any) -> None:
    """As `lm_eval --model hf-fast --model_args pretrained=...` asks for it."""
    results = simple_evaluate(
        model="hf-fast", model_args=f"pretrained={tiny_model},batch_tokens=64",
        tasks=["calib_toy_norm"], task_manager=tasks, limit=5, device="cpu", bootstrap_iters=0,
    )  # fmt: skip
    assert "ece,none" in results["results"]["calib_toy_norm"]


@pytest.mark.exhaustive
def test_a_batch_size_found_by_the_harness(tiny_model: Path, tiny_lm: Any, tasks: Any) -> None:
    """`--batch_size auto`: for generation as `hf`; options are batched by tokens anyway."""
    options = {"tasks": ["toy_norm", "toy_generate"], "task_manager": tasks, "limit": 5}
    arguments = f"pretrained={tiny_model},dtype=float32,max_length=512"
    auto = simple_evaluate(
        model="hf-fast", model_args=arguments, batch_size="auto", device="cpu",
        bootstrap_iters=0, **options,
    )  # fmt: skip
    plain = simple_evaluate(model=tiny_lm, bootstrap_iters=0, **options)
    for task in ("toy_norm", "toy_generate"):
        for a, b in zip(auto["samples"][task], plain["samples"][task], strict=True):
            if task == "toy_norm":
                assert_same(answers(a), answers(b))
            else:
                assert answers(a) == answers(b)


def test_the_harnesss_cache(
    fast: FastHFLM, tasks: Any, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--use_cache`: what has been scored is not scored again, by `hf` or by us."""
    options = {"tasks": ["toy_norm"], "task_manager": tasks, "use_cache": str(workspace / "cache")}
    first = simple_evaluate(model=fast, limit=5, bootstrap_iters=0, **options)
    asked: list[int] = []
    score = Executor.score

    def counted(self: Executor[Any], requests: Any, **rest: Any) -> Any:
        asked.append(len(requests))
        return score(self, requests, **rest)

    monkeypatch.setattr(Executor, "score", counted)
    again = simple_evaluate(model=fast, limit=5, bootstrap_iters=0, **options)
    assert not asked
    more = simple_evaluate(model=fast, limit=8, bootstrap_iters=0, **options)
    assert max(asked) == sum(len(s["doc"]["options"]) for s in more["samples"]["toy_norm"][5:])
    for other in (again, more):
        for a, b in zip(first["samples"]["toy_norm"], other["samples"]["toy_norm"], strict=False):
            assert [tuple(r) for r in answers(a)] == [tuple(r) for r in answers(b)]


def test_encoder_decoder_models_encode_each_context_once(
    tiny_t5: Path, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.models.huggingface import HFLM

    from lm_eval_calibration.scoring.encoder_decoder import EncoderDecoder

    arguments = {"pretrained": str(tiny_t5), "device": "cpu", "batch_size": 4, "dtype": "float32"}
    fast, slow = FastHFLM(**arguments, batch_tokens=300), HFLM(**arguments)
    assert fast.backend == "seq2seq"
    encoded = []
    scored = EncoderDecoder._answers

    def counted(self: Any, batch: Any, requests: Any) -> Any:
        encoded.extend(context for context, _, _ in batch)
        return scored(self, batch, requests)

    pairs = [p for p in PAIRS if p[0]] + [("What is item 3?", f" option {i}") for i in range(4)]
    asked = instances("loglikelihood", pairs)
    assert_same(fast.loglikelihood(asked), slow.loglikelihood(asked))
    assert fast.trust.reason is None
    monkeypatch.setattr(EncoderDecoder, "_answers", counted)
    fast.loglikelihood(asked)
    assert len(encoded) == len(set(encoded)) == len({context.rstrip() for context, _ in pairs})
