"""Rows and prefixes hold every request's tokens, each where it belongs, none twice in a row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.scoring.plan import PlannedRow, Prefix, batches, plan_rows
from lm_eval_calibration.scoring.sequences import Request, common_lengths, inputs_of

few = settings(derandomize=True, deadline=None, max_examples=60 * EXAMPLES)
TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    """Contexts that branch from a few others, as few-shot prompts do; three kinds of token."""
    stems = draw(st.lists(TOKENS, min_size=1, max_size=4))
    return [
        Request(
            draw(st.sampled_from(stems)) + draw(TOKENS)[: draw(st.integers(0, 6))], draw(TOKENS)[:3]
        )
        for _ in range(draw(st.integers(1, 20)))
    ]


def before(prefix: Prefix | None) -> list[int]:
    return [] if prefix is None else before(prefix.parent) + prefix.tokens.tolist()


def plan(found: list[Request], length: int, row_tokens: int, min_prefix: int) -> list[PlannedRow]:
    return plan_rows(inputs_of(found, length), row_tokens=row_tokens, min_prefix=min_prefix)


@given(requests(), st.integers(1, 30))
@few
def test_inputs_are_the_harness_s_and_hold_each_request_once(
    found: list[Request], length: int
) -> None:
    length = max(length, *(len(r.continuation) for r in found), 1)
    inputs = inputs_of(found, length)
    assert sorted(n for i in inputs for n in i.requests) == list(range(len(found)))
    for one in inputs:
        for number in one.requests:
            context, continuation = found[number]
            assert one.tokens.tolist() == [*context, *continuation][-(length + 1) :][:-1]
            assert one.first <= max(len(one) - len(continuation), 0)
    assert len({i.tokens.tobytes() for i in inputs}) == len(inputs)
    for a, b, shared in zip(inputs, inputs[1:], common_lengths(inputs)[1:], strict=False):
        assert a.tokens[:shared].tolist() == b.tokens[:shared].tolist()
        assert len(a) == shared or len(b) == shared or a.tokens[shared] != b.tokens[shared]


@given(requests(), st.sampled_from([8, 100]), st.sampled_from([1, 4, 16]), st.integers(1, 4))
@few
def test_rows_hold_every_input_on_a_path_of_its_own(
    found: list[Request], length: int, row_tokens: int, min_prefix: int
) -> None:
    seen = []
    for row in plan(found, length, row_tokens, min_prefix):
        prefix = before(row.prefix)
        i = np.arange(len(row))
        visible = (i[None] <= i[:, None]) & (i[:, None] < row.end[None])
        for tokens, path in zip(row.inputs, row.paths, strict=True):
            assert prefix + row.tokens[path].tolist() == tokens.tokens.tolist()
            assert row.depth[path].tolist() == list(range(len(prefix), len(tokens)))
            assert len(prefix) <= tokens.first  # nothing that is scored is cached
            for k, place in enumerate(path):
                assert np.flatnonzero(visible[place]).tolist() == path[: k + 1].tolist()
            seen += tokens.requests
    assert sorted(seen) == list(range(len(found)))


@given(requests(), st.integers(1, 60))
@few
def test_batches_hold_every_row_once_and_share_a_prefix(found: list[Request], tokens: int) -> None:
    rows = plan(found, 100, 4, 2)
    made = list(batches(rows, lambda: tokens))
    assert sorted(id(row) for batch in made for row in batch) == sorted(map(id, rows))
    for batch in made:
        assert len({id(row.prefix) for row in batch}) == 1
        padded = len(batch) * max(map(len, batch))
        assert len(batch) == 1 or padded <= tokens
        assert sum(map(len, batch)) >= 0.9 * padded


def test_a_few_shot_block_is_computed_once() -> None:
    block = list(range(100))
    found = [Request([*block, 200 + d, 300 + d, 7], [o]) for d in range(50) for o in (1, 2, 3, 4)]
    rows = plan_rows(inputs_of(found, 1000), row_tokens=64)
    assert len({id(row.prefix) for row in rows}) == 1
    assert rows[0].prefix is not None
    assert rows[0].prefix.tokens.tolist() == block
    assert sum(map(len, rows)) == 50 * 3  # the letters of a question are scored at one token


def test_nothing_to_plan() -> None:
    assert plan_rows([]) == []


@pytest.mark.parametrize(
    ("context", "continuation"), [([], [1]), ([1], []), ([1], [1, 2, 3, 4, 5])]
)
def test_requests_that_cannot_be_scored(context: list[int], continuation: list[int]) -> None:
    with pytest.raises(InvalidInputError, match=r"`requests\[1\]` must be a context and 1 to 4"):
        inputs_of([Request([1], [2]), Request(context, continuation)], 4)
