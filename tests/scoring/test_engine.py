"""The engine's numbers are those of one sequence at a time, on every architecture it takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES

from lm_eval_calibration.scoring.engine import Engine
from lm_eval_calibration.scoring.network import Network
from lm_eval_calibration.scoring.sequences import Request

TAKEN = ["llama", "qwen2", "gpt2", "gemma3", "mistral"]
few = settings(derandomize=True, deadline=None, max_examples=10 * EXAMPLES)
MAX_LENGTH = 40


def one_by_one(model: Any, requests: list[Request]) -> list[tuple[float, bool, float]]:
    """Log-likelihood, whether greedy, and the least gap of the best two logits, as `hf` has them."""
    answers = []
    for context, continuation in requests:
        tokens = [*context, *continuation][-(MAX_LENGTH + 1) :][:-1]
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -len(continuation) :].float()
        target = torch.tensor(continuation[-len(logits) :])
        logp = logits.log_softmax(-1).gather(1, target[:, None])
        best = logits.topk(2).values
        answers.append(
            (
                float(logp.sum()),
                bool((logits.argmax(-1) == target).all()),
                float((best[:, 0] - best[:, 1]).min()),
            )
        )
    return answers


def assert_same(model: Any, requests: list[Request], **options: int) -> None:
    engine = Engine(model, MAX_LENGTH, options.pop("batch_tokens", 200))
    found = engine.score(requests, rows=engine.plan(requests, **options))
    for answer, (value, greedy, gap) in zip(found, one_by_one(model, requests), strict=True):
        assert answer.loglikelihood == pytest.approx(value, abs=1e-4)
        assert answer.is_greedy == greedy or gap < 1e-4


def prompts(seed: int) -> list[Request]:
    """A few-shot block before most questions, four options each; some too long, some twice."""
    draw = random.Random(seed)
    tokens = lambda n: [draw.randrange(50) for _ in range(n)]  # noqa: E731
    block = tokens(20)
    found = []
    for question in range(8):
        context = (block if question % 3 else []) + tokens(draw.randrange(1, 25))
        found += [Request(context, tokens(draw.randrange(1, 5))) for _ in range(4)]
    return found + found[:3]


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.parametrize("options", [{}, {"row_tokens": 8, "min_prefix": 4}, {"batch_tokens": 1}])
def test_same_numbers(tiny: Callable[[str], Any], name: str, options: dict[str, int]) -> None:
    assert_same(tiny(name), prompts(1), **options)


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=4),
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.lists(st.integers(0, 3), max_size=5),
            st.lists(st.integers(0, 3), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([1, 6, 64]),
    st.integers(1, 4),
)
@few
def test_random_tries(
    tiny: Callable[[str], Any], stems: Any, parts: Any, row_tokens: int, min_prefix: int
) -> None:
    found = [Request(stems[i % len(stems)] + more, option) for i, more, option in parts]
    for name in ("llama", "gemma3"):
        assert_same(tiny(name), found, row_tokens=row_tokens, min_prefix=min_prefix)


@pytest.mark.parametrize("name", ["bloom", "mamba"])
def test_architectures_that_take_no_positions_are_refused(
    tiny: Callable[[str], Any], name: str
) -> None:
    with pytest.raises((TypeError, AttributeError)):
        Network(tiny(name))


def test_memory_that_runs_out_halves_the_batch(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = prompts(2)
    engine = Engine(tiny("llama"), MAX_LENGTH, 4000)
    expected = engine.score(found, rows=engine.plan(found, row_tokens=8))
    whole = Network.hidden

    def small(self: Network, rows: Any, before: Any) -> Any:
        if len(rows) > 1:
            raise torch.OutOfMemoryError
        return whole(self, rows, before)

    monkeypatch.setattr(Network, "hidden", small)
    done: list[int] = []
    for a, b in zip(
        engine.score(found, rows=engine.plan(found, row_tokens=8), answered=done.extend),
        expected,
        strict=True,
    ):
        assert a.loglikelihood == pytest.approx(b.loglikelihood, abs=1e-5)
    assert sorted(done) == list(range(len(found)))
    assert engine.batch_tokens < 4000
    monkeypatch.setattr(Network, "hidden", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        engine.score(found, rows=engine.plan(found, row_tokens=8))


def test_the_vocabulary_is_reached_in_chunks(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval_calibration.scoring import engine

    monkeypatch.setattr(engine, "LOGIT_ELEMENTS", 3 * 50)
    assert_same(tiny("llama"), prompts(3))


@pytest.mark.parametrize("options", [{}, {"row_tokens": 8, "min_prefix": 4}])
def test_gradients_and_hidden_states_are_those_of_one_sequence_at_a_time(
    tiny: Callable[[str], Any], options: dict[str, int]
) -> None:
    """Cross-entropy over the options, as training has it; and the state at each context's end."""
    model = tiny("llama")
    found = [r for r in prompts(4) if len(r.context) + len(r.continuation) <= MAX_LENGTH]
    weights = [model.model.layers[0].self_attn.k_proj.weight, model.lm_head.weight]

    def loss(scores: dict[int, torch.Tensor]) -> torch.Tensor:
        return -torch.stack([scores[i] for i in range(len(found))]).log_softmax(0)[0]

    packed: dict[int, torch.Tensor] = {}
    engine = Engine(model, MAX_LENGTH, 200)
    for answers in engine.passes(found, engine.plan(found, **options)):
        packed |= dict(zip(answers.requests, answers.loglikelihood, strict=True))
        for number, state in zip(answers.requests, answers.hidden, strict=True):
            context = torch.tensor([list(found[number].context)])
            expected = model.model(context).last_hidden_state[0, -1]
            torch.testing.assert_close(state, expected, atol=1e-4, rtol=1e-4)
    separate = {}
    for i, (context, continuation) in enumerate(found):
        logits = model(torch.tensor([[*context, *continuation][:-1]])).logits[0]
        logp = logits[-len(continuation) :].log_softmax(-1)
        separate[i] = logp[torch.arange(len(continuation)), torch.tensor(continuation)].sum()
    for a, b in zip(
        torch.autograd.grad(loss(packed), weights),
        torch.autograd.grad(loss(separate), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)
