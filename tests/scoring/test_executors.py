"""Every executor's numbers are those of one sequence at a time, on every architecture that it takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.scoring import passages
from lm_eval_calibration.scoring.apart import PassagesApart
from lm_eval_calibration.scoring.continued import Continued, Stepwise
from lm_eval_calibration.scoring.continued_apart import (
    ContinuedAlone,
    ContinuedApart,
    StepwiseAlone,
    StepwiseApart,
)
from lm_eval_calibration.scoring.contract import Answers, Executor
from lm_eval_calibration.scoring.encoder_decoder import EncoderDecoder, EncoderDecoderAlone
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.one_by_one import OneByOne
from lm_eval_calibration.scoring.packed import Packed, SharedPacked
from lm_eval_calibration.scoring.sequences import Request

PACKED = ["llama", "qwen2", "gpt2", "gemma3", "mistral"]
RECURRENT = ["mamba2", "bamba", "qwen3_next", "lfm2"]
TAKEN = [
    *((Packed, name) for name in PACKED),
    *((SharedPacked, name) for name in PACKED),
    *((Continued, name) for name in ["llama", "gemma3", "bloom", "cohere", *RECURRENT]),
    *((Stepwise, name) for name in ["llama", "mamba", "bamba"]),
    *((OneByOne, name) for name in ["llama", "bamba"]),
    (EncoderDecoder, "t5"),
]
ALONE = [
    *((PassagesApart, name) for name in PACKED),
    *((ContinuedApart, name) for name in ["llama", "bamba", "lfm2"]),
    (StepwiseApart, "mamba"),
    (ContinuedAlone, "qwen2"),
    (StepwiseAlone, "mamba"),
    (EncoderDecoderAlone, "t5"),
]
"""Whose numbers are each request's own."""
TAKEN += ALONE
each = pytest.mark.parametrize(("kind", "name"), TAKEN, ids=lambda x: getattr(x, "__name__", x))
few = settings(derandomize=True, deadline=None, max_examples=10 * EXAMPLES)
MAX_LENGTH = 40
Tiny = Callable[[str], Any]


def logits_of(model: Any, context: Any, continuation: Any) -> torch.Tensor:
    """Of the tokens after which those of the continuation stand, as `hf` cuts what is too long."""
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            read = torch.tensor([list(context[-MAX_LENGTH:])])
            logits = model(read, labels=torch.tensor([list(continuation)])).logits[0]
        else:
            tokens = [*context, *continuation][-(MAX_LENGTH + 1) :][:-1]
            logits = model(torch.tensor([tokens])).logits[0]
    return logits[-len(continuation) :].float()


def one_by_one(model: Any, requests: list[Request]) -> list[tuple[float, bool, float]]:
    """Log-likelihood, whether greedy, and the least gap of the best two logits, as `hf` has them."""
    answers = []
    for context, continuation in requests:
        logits = logits_of(model, context, continuation)
        target = torch.tensor(continuation[-len(logits) :])
        logp = logits.log_softmax(-1).gather(1, target[:, None])
        best = logits.topk(2).values
        right = bool((logits.argmax(-1) == target).all())
        answers.append((float(logp.sum()), right, float((best[:, 0] - best[:, 1]).min())))
    return answers


def assert_same(executor: Executor[Any], requests: list[Request], plan: Any = None) -> None:
    found = executor.score(requests, plan=plan)
    expected = one_by_one(executor.model, requests)
    for answer, (value, greedy, gap) in zip(found, expected, strict=True):
        assert answer.loglikelihood == pytest.approx(value, abs=1e-4)
        assert answer.is_greedy == greedy or gap < 1e-4


def prompts(seed: int) -> list[Request]:
    """A few-shot block before most questions, four options each; some too long, some twice."""
    draw = random.Random(seed)
    tokens = lambda n: [draw.randrange(3, 50) for _ in range(n)]  # noqa: E731
    block = tokens(20)
    found = []
    for question in range(8):
        context = (block if question % 3 else []) + tokens(draw.randrange(1, 25))
        found += [Request(context, tokens(draw.randrange(1, 5))) for _ in range(4)]
    return found + found[:3]


@each
@pytest.mark.parametrize("batch_tokens", [200, 1])
def test_same_numbers(tiny: Tiny, kind: type[Executor[Any]], name: str, batch_tokens: int) -> None:
    assert_same(kind(tiny(name), MAX_LENGTH, batch_tokens), prompts(1))


@pytest.mark.parametrize(
    ("kind", "name"), [*ALONE, (OneByOne, "llama")], ids=lambda x: getattr(x, "__name__", x)
)
def test_the_same_bits_in_any_company(tiny: Tiny, kind: type[Executor[Any]], name: str) -> None:
    requests = prompts(1)
    whole = kind(tiny(name), MAX_LENGTH, 64).score(requests)
    for seed, size in ((1, 1), (2, 2), (3, 7), (4, len(requests))):
        numbers = random.Random(seed).sample(range(len(requests)), size)
        again = kind(tiny(name), MAX_LENGTH, 64).score([requests[n] for n in numbers])
        assert again == [whole[n] for n in numbers]


def test_a_context_of_which_a_beginning_is_read_before(tiny: Tiny) -> None:
    """The same numbers, up to rounding, and again the same bits in any company."""
    requests = prompts(1)
    shared = [Request([*range(3, 43), *r.context], r.continuation) for r in requests]
    executor = PassagesApart(tiny("llama"), 128, 64, torch.float32, lambda context: 40)
    passages.LEAST_BEGINNING, before = 16, passages.LEAST_BEGINNING
    try:
        whole = executor.score(shared)
        part = executor.score(shared[5:7])
    finally:
        passages.LEAST_BEGINNING = before
    assert part == whole[5:7]
    plain = OneByOne(tiny("llama"), 128).score(shared)
    for one, other in zip(whole, plain, strict=True):
        assert one.loglikelihood == pytest.approx(other.loglikelihood, abs=1e-4)


@each
def test_trials_have_them_do_all_they_may(tiny: Tiny, kind: type[Executor[Any]], name: str) -> None:
    executor, requests = kind(tiny(name), MAX_LENGTH, 200), prompts(2)
    for numbers, plan in executor.trials(requests):
        assert_same(executor, [requests[n] for n in numbers], plan)


@given(
    st.lists(st.lists(st.integers(3, 6), min_size=1, max_size=6), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(st.integers(3, 6), max_size=5),
            st.lists(st.integers(3, 6), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([1, 6, 64]),
    st.integers(1, 4),
)
@few
def test_random_tries(tiny: Tiny, stems: Any, parts: Any, row_tokens: int, min_prefix: int) -> None:
    found = [Request(stems[i % len(stems)] + more, option) for i, more, option in parts]
    for name in ("llama", "gemma3"):
        packed = Packed(tiny(name), MAX_LENGTH, 200)
        plan = packed.plan(found, row_tokens=row_tokens, min_prefix=min_prefix)
        assert_same(packed, found, plan)
    continued = Continued(tiny("bamba"), MAX_LENGTH, 200)
    assert_same(continued, found, continued.plan(found, min_prefix=min_prefix))


@each
def test_memory_that_runs_out_halves_the_batch(
    tiny: Tiny, kind: type[Executor[Any]], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind is OneByOne:
        pytest.skip("its batches are of one")
    if (kind, name) in ALONE:
        pytest.skip("its shapes are part of its arithmetic")
    found = prompts(2)
    executor = kind(tiny(name), MAX_LENGTH, 200)
    plan = (
        executor.plan(found, row_tokens=8) if isinstance(executor, Packed) else executor.plan(found)
    )
    expected = executor.score(found, plan=plan)
    whole = kind.computing

    def small(self: Any, requests: Any) -> Any:
        compute = whole(self, requests)

        def computed(batch: list[Any]) -> Answers:
            if len(batch) > most:
                raise torch.OutOfMemoryError
            return compute(batch)

        return computed

    monkeypatch.setattr(kind, "computing", small)
    done: list[int] = []
    most = 1
    again = executor.score(found, plan=plan, answered=done.extend)
    for a, b in zip(again, expected, strict=True):
        assert a.loglikelihood == pytest.approx(b.loglikelihood, abs=1e-4)
    assert sorted(done) == list(range(len(found)))
    assert executor.batch_tokens < 200
    most = 0
    with pytest.raises(torch.OutOfMemoryError):
        executor.score(found, plan=plan)


@each
def test_bad_requests(tiny: Tiny, kind: type[Executor[Any]], name: str) -> None:
    executor = kind(tiny(name), MAX_LENGTH)
    for bad in (Request([], [1]), Request([1], []), Request([1], [1] * (MAX_LENGTH + 1))):
        with pytest.raises(InvalidInputError, match=r"requests\[1\]"):
            executor.score([Request([1], [2]), bad])
    assert executor.score([]) == []


@pytest.mark.parametrize("name", ["bloom", "mamba", "bamba", "qwen3_next"])
def test_what_takes_no_trees_is_refused(tiny: Tiny, name: str) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Packed(tiny(name), MAX_LENGTH).score(prompts(1))


def test_the_vocabulary_is_reached_in_chunks(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    from lm_eval_calibration.scoring import head

    monkeypatch.setattr(head, "LOGIT_ELEMENTS", 3 * 50)
    assert_same(Packed(tiny("llama"), MAX_LENGTH, 200), prompts(3))


def test_caches_are_copied_for_as_many_branches_as_there_is_room(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval_calibration.scoring import continued

    monkeypatch.setattr(continued, "CACHE_BYTES", 1 << 12)
    assert_same(Continued(tiny("bamba"), MAX_LENGTH, 2000), prompts(3))


@pytest.mark.parametrize("kind", [Packed, Continued, OneByOne])
def test_the_log_softmax_is_as_precise_as_asked(tiny: Tiny, kind: type[Executor[Any]]) -> None:
    executor = kind(tiny("llama"), MAX_LENGTH, 200, torch.float64)
    (found,) = executor.passes([Request([3, 4], [5, 6])])
    assert found.loglikelihood.dtype == torch.float64


@pytest.mark.parametrize("name", ["cohere", "gemma2", "granite", "falcon_h1"])
def test_logits_are_scaled_and_capped_as_the_model_does(tiny: Tiny, name: str) -> None:
    model = tiny(name)
    tokens = torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        head = Head(model)
        hidden, _ = head.read(input_ids=tokens)
        torch.testing.assert_close(head.logits(hidden[0]), model(tokens).logits[0])


STATES = [(Packed, "llama"), (Continued, "llama"), (Continued, "bamba"), (OneByOne, "bamba")]
STATES += [(PassagesApart, "llama"), (ContinuedApart, "bamba"), (ContinuedAlone, "llama")]


@pytest.mark.parametrize(("kind", "name"), STATES)
def test_hidden_states_are_what_the_head_reads_of_each_context(
    tiny: Tiny, kind: type[Executor[Any]], name: str
) -> None:
    model = tiny(name)
    found = [r for r in prompts(4) if len(r.context) + len(r.continuation) <= MAX_LENGTH]
    states: dict[int, torch.Tensor] = {}

    def observe(answers: Answers) -> None:
        states.update(zip(answers.requests, answers.hidden, strict=True))

    kind(model, MAX_LENGTH, 200).score(found, observe=observe)
    for number, request in enumerate(found):
        with torch.no_grad():
            read = model(torch.tensor([list(request.context)]), output_hidden_states=True)
        expected = read.hidden_states[-1][0, -1]
        torch.testing.assert_close(states[number], expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"row_tokens": 8, "min_prefix": 4}, None])
def test_gradients_are_those_of_one_sequence_at_a_time(
    tiny: Tiny, options: dict[str, int] | None
) -> None:
    """Cross-entropy over the options, as training has it; without options, one by one."""
    model = tiny("llama")
    found = [r for r in prompts(4) if len(r.context) + len(r.continuation) <= MAX_LENGTH]
    weights = [model.model.layers[0].self_attn.k_proj.weight, model.lm_head.weight]

    def loss(scores: dict[int, torch.Tensor]) -> torch.Tensor:
        return -torch.stack([scores[i] for i in range(len(found))]).log_softmax(0)[0]

    ours: dict[int, torch.Tensor] = {}
    packed = Packed(model, MAX_LENGTH, 200)
    if options is None:
        passes = OneByOne(model, MAX_LENGTH).passes(found)
    else:
        passes = packed.passes(found, packed.plan(found, **options))
    for answers in passes:
        ours |= dict(zip(answers.requests, answers.loglikelihood, strict=True))
    separate = {}
    for i, (context, continuation) in enumerate(found):
        logits = model(torch.tensor([[*context, *continuation][:-1]])).logits[0]
        logp = logits[-len(continuation) :].log_softmax(-1)
        separate[i] = logp[torch.arange(len(continuation)), torch.tensor(continuation)].sum()
    for a, b in zip(
        torch.autograd.grad(loss(ours), weights),
        torch.autograd.grad(loss(separate), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_another_model_of_the_same_kind(tiny: Tiny) -> None:
    """As training has it: the same settings, other weights."""
    executor = Packed(tiny("llama"), MAX_LENGTH, 200)
    assert_same(replace(executor, model=tiny("qwen2")), prompts(5))
