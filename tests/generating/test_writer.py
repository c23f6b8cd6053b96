"""Texts that are written side by side are those that transformers writes one by one, in every architecture."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import crossed
from tiny_models import VOCABULARY

from lm_eval_calibration.generating.contract import Writer
from lm_eval_calibration.generating.decoding import UnusualError, prepared
from lm_eval_calibration.generating.lockstep import Lockstep, Unshared
from lm_eval_calibration.generating.lockstep_apart import LockstepApart, TextsAlone, UnbegunApart
from lm_eval_calibration.generating.rows import AskedText, Written
from lm_eval_calibration.generating.rows_apart import RowsApart
from lm_eval_calibration.generating.sampling import SeededRows
from lm_eval_calibration.generating.side_by_side import SharedSideBySide, SideBySide
from lm_eval_calibration.generating.slots import BLOCK
from lm_eval_calibration.generating.stops import Stops

WRITES = ["llama", "qwen2", "gpt2", "gemma3", "mistral", "gemma2", "granite", "cohere"]
IN_STEP = ["bamba", "falcon_h1", "lfm2", "qwen3_next", "mamba2", "bloom", "llama", "mistral"]
BY_ITSELF = ["mamba", "lfm2", "gpt2"]
STEPPED = [
    *((Lockstep, name) for name in IN_STEP), *((Unshared, name) for name in BY_ITSELF),
    *((LockstepApart, name) for name in ("lfm2", "bamba", "mamba2")), (UnbegunApart, "mamba"),
    (TextsAlone, "llama"),
]  # fmt: skip
ROWS = (1, 2, 64)
SHARED = [7, 3, 9, 4] * 6
PROMPTS = {
    "beginning": [[*SHARED, 5], [*SHARED, 6, 8, 2, 11], [*SHARED, 6, 8, 9]],
    "equal": [[5, 6, 7, 8], [5, 6, 7, 8], [9, 10], [5, 6, 7, 8]],
    "two beginnings": [[*SHARED, 5], [*SHARED[::-1], 6], [*SHARED, 8], [*SHARED[::-1], 12, 13]],
    "one within another": [[*SHARED, 4, 4], SHARED, [*SHARED, 4]],
    "one token": [[5]] * 3,
    "of all lengths": [[(7 * n + i) % VOCABULARY for i in range(1 + 9 * n)] for n in range(6)],
}
GREEDY: dict[str, Any] = {"do_sample": False}
SAMPLED: dict[str, Any] = {"do_sample": True, "temperature": 1.3, "top_k": 20}
LOOKING = {
    "repetition penalty": {**GREEDY, "repetition_penalty": 1.7},
    "no repeated pairs": {**GREEDY, "no_repeat_ngram_size": 2},
    "least length": {**GREEDY, "min_new_tokens": 5},
    "prompt's tokens": {**SAMPLED, "encoder_repetition_penalty": 1.5},
}


def decoding_of(model: Any, prompt: Sequence[int], room: int, chosen: dict[str, Any]) -> Any:
    def generate(tokens: torch.Tensor, **more: Any) -> Any:
        return model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=room,
            pad_token_id=0,
            **chosen,
            **more,
        )

    return prepared(generate, torch.tensor([list(prompt)]))


def asked(
    model: Any, prompts: list[list[int]], rooms: Sequence[int], chosen: dict[str, Any]
) -> list[AskedText]:
    return [
        AskedText(p, decoding_of(model, p, room, chosen), Stops.none(), room, seed=n)
        for n, (p, room) in enumerate(zip(prompts, rooms, strict=True))
    ]


def written(writer: Writer, some: Sequence[AskedText]) -> list[list[int]]:
    found: dict[int, Written] = {}
    writer.write(some, found.__setitem__)
    return [found[n].tokens for n in range(len(some))]


def one_by_one(
    model: Any, prompts: list[list[int]], rooms: Sequence[int], chosen: dict[str, Any]
) -> list[list[int]]:
    found = []
    for seed, (prompt, room) in enumerate(zip(prompts, rooms, strict=True)):
        tokens = torch.tensor([prompt])
        with SeededRows([seed]):
            whole = model.generate(
                tokens,
                attention_mask=torch.ones_like(tokens),
                max_new_tokens=room,
                pad_token_id=0,
                **chosen,
            )
        found.append(whole[0, len(prompt) :].tolist())
    return found


@pytest.mark.parametrize(("name", "case", "rows"), crossed(WRITES, PROMPTS, ROWS))
def test_as_one_by_one(tiny: Callable[[str], Any], name: str, case: str, rows: int) -> None:
    model, prompts = tiny(name), PROMPTS[case]
    rooms = [3 + 4 * (n % 3) for n in range(len(prompts))]
    chosen = SAMPLED if rows == 2 else GREEDY
    found = written(SideBySide(model, 64, rows), asked(model, prompts, rooms, chosen))
    assert found == one_by_one(model, prompts, rooms, chosen)


TOGETHER = ["llama", "qwen2", "gpt2", "gemma3", "mistral", "granite", "cohere"]
APART = ["llama", "gemma3", "gemma2", "gpt2", "mistral"]
WRITERS = [*((SharedSideBySide, name) for name in TOGETHER), *((RowsApart, n) for n in APART)]


@pytest.mark.parametrize(("writer", "case", "rows"), crossed(WRITERS, PROMPTS, ROWS))
def test_together_as_one_by_one(
    tiny: Callable[[str], Any], writer: tuple[type[Writer], str], case: str, rows: int
) -> None:
    kind, name = writer
    model, prompts = tiny(name), PROMPTS[case]
    rooms = [3 + 4 * (n % 3) for n in range(len(prompts))]
    chosen = SAMPLED if rows == 2 else GREEDY
    found = written(kind(model, 64, rows), asked(model, prompts, rooms, chosen))
    assert found == one_by_one(model, prompts, rooms, chosen)


def test_a_beginning_is_read_once_where_rows_are_apart(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, read = tiny("llama"), []
    prompts = [[*SHARED * 3, n + 2, n % 3] for n in range(5)]
    writer = RowsApart(model, 128, 4, lambda context: 3 * len(SHARED))
    plain = writer.reader.company

    def company(batch: Any, kept: Any) -> Any:
        read.extend(len(passage.tokens) for passage in batch)
        return plain(batch, kept)

    monkeypatch.setattr(writer.reader, "company", company)
    found = written(writer, asked(model, prompts, [5] * 5, GREEDY))
    assert found == one_by_one(model, prompts, [5] * 5, GREEDY)
    assert sorted(read) == [2] * 5 + [3 * len(SHARED)]


def test_rows_apart_are_as_many_when_memory_runs_out(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Fewer texts at a time, in steps of the same shape."""
    model, prompts = tiny("llama"), PROMPTS["of all lengths"]
    rooms, sizes = [7] * len(prompts), []
    writer = RowsApart(model, 256, 4)
    plain = writer.reader.states

    def scarce(tokens: Any, positions: Any, company: Any) -> Any:
        if len(tokens) == 4 and len(company.lengths) > 2:
            raise torch.OutOfMemoryError("no room")
        sizes.append(len(tokens))
        return plain(tokens, positions, company)

    monkeypatch.setattr(writer.reader, "states", scarce)
    with caplog.at_level(logging.WARNING):
        found = written(writer, asked(model, prompts, rooms, SAMPLED))
    assert found == one_by_one(model, prompts, rooms, SAMPLED)
    assert set(sizes) == {4, 256} and caplog.text.count("memory ran out") == 1


def test_what_all_begin_with_is_kept_once(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, seen = tiny("llama"), set()
    prompts = [[*SHARED, n + 2, n % 3] for n in range(9)]
    writer = SharedSideBySide(model, 512)
    plain = writer.network.step

    def step(tokens: Any, places: Any, cache: Any, apart: int) -> Any:
        seen.add((apart, max(keys.shape[2] for keys, _ in cache.slots.layers.values())))
        return plain(tokens, places, cache, apart)

    monkeypatch.setattr(writer.network, "step", step)
    found = written(writer, asked(model, prompts, [5] * 9, GREEDY))
    assert found == one_by_one(model, prompts, [5] * 9, GREEDY)
    assert seen == {(len(SHARED), BLOCK)}


@pytest.mark.parametrize("chosen", LOOKING.values(), ids=LOOKING)
def test_what_looks_at_the_tokens_before(
    tiny: Callable[[str], Any], chosen: dict[str, Any]
) -> None:
    model, prompts = tiny("llama"), PROMPTS["of all lengths"]
    rooms = [8] * len(prompts)
    found = written(SideBySide(model, 64), asked(model, prompts, rooms, chosen))
    assert found == one_by_one(model, prompts, rooms, chosen)


@pytest.mark.parametrize(("writer", "case", "rows"), crossed(STEPPED, PROMPTS, ROWS))
def test_in_step_as_one_by_one(
    tiny: Callable[[str], Any], writer: tuple[type[Writer], str], case: str, rows: int
) -> None:
    kind, name = writer
    model, prompts = tiny(name), PROMPTS[case]
    rooms = [3 + 4 * (n % 3) for n in range(len(prompts))]
    chosen = SAMPLED if rows == 2 else GREEDY
    found = written(kind(model, 64, rows), asked(model, prompts, rooms, chosen))
    assert found == one_by_one(model, prompts, rooms, chosen)


@pytest.mark.parametrize("name", ["mamba", "bamba", "bloom", "lfm2"])
def test_other_architectures_are_refused(tiny: Callable[[str], Any], name: str) -> None:
    with pytest.raises((TypeError, AttributeError)):
        SideBySide(tiny(name), 64)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.lists(st.integers(2, VOCABULARY - 1), min_size=1, max_size=40), st.integers(1, 9)),
             min_size=1, max_size=7),
    st.integers(1, 8),
    st.integers(1, 64),
    st.booleans(),
)  # fmt: skip
def test_whatever_stands_beside_it(
    tiny: Callable[[str], Any],
    texts: list[tuple[list[int], int]],
    rows: int,
    tokens: int,
    draw: bool,
) -> None:
    model = tiny("llama")
    prompts, rooms = [p for p, _ in texts], [room for _, room in texts]
    chosen = SAMPLED if draw else GREEDY
    found = written(SideBySide(model, tokens, rows), asked(model, prompts, rooms, chosen))
    assert found == one_by_one(model, prompts, rooms, chosen)


def test_the_end_token_ends_a_text_and_is_part_of_it(tiny: Callable[[str], Any]) -> None:
    model, prompt = tiny("llama"), [5, 6, 7]
    (free,) = written(SideBySide(model, 64), asked(model, [prompt], [9], GREEDY))
    chosen = {**GREEDY, "eos_token_id": free[3]}
    found: dict[int, Written] = {}
    SideBySide(model, 64).write(asked(model, [prompt, prompt], [9, 2], chosen), found.__setitem__)
    assert found[0].tokens == free[: free.index(free[3]) + 1] and not found[0].cut
    assert found[1].tokens == free[:2] and found[1].cut


def test_scores_are_those_of_a_plain_pass(tiny: Callable[[str], Any]) -> None:
    model, prompt = tiny("gemma2"), PROMPTS["of all lengths"][3]
    one = asked(model, [prompt], [6], SAMPLED)[0]
    told = AskedText(one.prompt, one.decoding, one.stops, one.room, told=True)
    found: dict[int, Written] = {}
    SideBySide(model, 64).write([told, one], found.__setitem__)
    assert found[1].scores == []
    whole = torch.tensor([[*prompt, *found[0].tokens]])
    logs = torch.log_softmax(model(whole).logits[0, len(prompt) - 1 : -1], dim=-1)
    best = logs.exp().topk(2).values
    for n, (value, margin, entropy) in enumerate(found[0].scores):
        assert value == pytest.approx(float(logs[n, found[0].tokens[n]].detach()), abs=1e-4)
        assert margin == pytest.approx(float((best[n, 0] - best[n, 1]).detach()), abs=1e-4)
        assert entropy == pytest.approx(float(-(logs[n].exp() * logs[n]).sum().detach()), abs=1e-4)


@pytest.mark.parametrize("where", ["step", "begun"])
def test_memory_that_runs_out_halves_the_rows(
    tiny: Callable[[str], Any],
    where: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    model, prompts = tiny("llama"), PROMPTS["of all lengths"]
    rooms = [7] * len(prompts)
    writer = SideBySide(model, 4096, 4)
    plain, calls = getattr(writer.network, where), []

    def scarce(first: Any, *rest: Any) -> Any:
        calls.append(len(first))
        if len(first) > 2:
            raise torch.OutOfMemoryError("no room")
        return plain(first, *rest)

    monkeypatch.setattr(writer.network, where, scarce)
    with caplog.at_level(logging.WARNING):
        found = written(writer, asked(model, prompts, rooms, SAMPLED))
    assert found == one_by_one(model, prompts, rooms, SAMPLED)
    assert max(calls) > 2 and caplog.text.count("memory ran out") == 1


def test_memory_that_never_suffices_is_told(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    writer = SideBySide(model, 64)

    def never(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(writer.network, "step", never)
    with pytest.raises(torch.OutOfMemoryError):
        written(writer, asked(model, PROMPTS["equal"], [4] * 4, GREEDY))


def test_each_token_of_a_prompt_is_read_once(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("llama")
    prompts = [[*SHARED, n % 3, n % 3] for n in range(9)]
    writer, sizes = SideBySide(model, 512), []
    plain = writer.network.run

    def counted(tokens: torch.Tensor, *rest: Any) -> Any:
        sizes.append(tuple(tokens.shape))
        return plain(tokens, *rest)

    monkeypatch.setattr(writer.network, "run", counted)
    written(writer, asked(model, prompts, [3] * 9, GREEDY))
    assert sizes == [(1, 24), (1, 2), (2, 2), (9, 1), (9, 1)]


UNUSUAL = [
    {"num_beams": 2}, {"num_return_sequences": 2, "do_sample": True}, {"max_time": 3.0},
    {"guidance_scale": 1.5}, {"return_dict_in_generate": True}, {"cache_implementation": "static"},
]  # fmt: skip


@pytest.mark.parametrize("chosen", UNUSUAL, ids=lambda c: next(iter(c)))
def test_settings_of_another_kind_are_refused(
    tiny: Callable[[str], Any], chosen: dict[str, Any]
) -> None:
    with pytest.raises(UnusualError):
        decoding_of(tiny("llama"), [5, 6], 4, {"do_sample": False, **chosen})
