"""`--model hf-fast` writes `hf`'s texts, in whichever way it may."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from requesting import requested

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.scoring.continued import Continued
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.network import Network


def written_for(arguments: list[tuple[Any, ...]]) -> list[Any]:
    return [requested("generate_until", a, i) for i, a in enumerate(arguments)]


PROMPTS = [f"{'An example of what is asked. ' * 3}{word}" for word in ("a", "b", "a", "again")]
SETTINGS = {"until": ["."], "max_gen_toks": 6}


def texts(settings: dict[str, Any] = SETTINGS) -> list[Any]:
    return written_for([(prompt, settings) for prompt in PROMPTS])


@pytest.fixture
def fresh(tiny_model: Path) -> Any:
    return FastHFLM(pretrained=str(tiny_model), device="cpu", batch_size=8, dtype="float32")


STEPS = [(Network, "step"), (Continued, "advance")]


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("lost", [1, 2])
def test_when_a_way_to_generate_fails_the_next_goes_on(
    fresh: FastHFLM,
    tiny_lm: Any,
    lost: int,
    after: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before anything is written, or when some of it is; `hf` in the end."""
    few = written_for([("short", {"until": [], "max_gen_toks": 2})])
    fresh.generate_until(few)  # (the first way's trial)
    for owner, name in STEPS[:lost]:
        fail_after(monkeypatch, owner, name, after)
    caplog.set_level(logging.WARNING)
    rooms = [{**SETTINGS, "max_gen_toks": 2 + n} for n in range(4)]
    asked = [texts(room)[n] for n, room in enumerate(rooms)]
    assert fresh.generate_until(asked) == tiny_lm.generate_until(asked)
    reasons = [str(way.reason) for way in fresh._generation.ways]
    failed = 2 * lost  # (each step is two ways')
    assert all("ValueError: no more of it" in reason for reason in reasons[:failed])
    assert ("as slowly as hf: the model" in caplog.text) == (lost == 2)
    assert (reasons[-1] == "None") == (lost == 1)


def test_equal_requests_are_told_in_their_order(
    fresh: FastHFLM, tiny_lm: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By that, whoever keeps answers tells samples apart, whichever is finished first or fails."""

    def told() -> tuple[list[str], list[str]]:
        kept: list[str] = []

        class Hook:
            dbdict = None

            def add_partial(self, _: str, request: Any, answer: str) -> None:
                kept.append(answer)

        fresh.set_cache_hook(Hook())
        settings = {"until": ["e", "a"], "max_gen_toks": 30, "do_sample": True, "temperature": 2.0}
        return fresh.generate_until(written_for([("one", settings)] * 12)), kept

    found, kept = told()
    assert kept == found and len(set(found)) > 6
    fail_after(monkeypatch, Network, "step", 6)
    fail_after(monkeypatch, Continued, "advance", 6)
    assert told() == (found, found) and fresh._generation.reason is not None


def fail_after(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, count: int) -> None:
    plain, calls = getattr(owner, name), [0]

    def failing(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] > count:
            raise ValueError("no more of it")
        return plain(*given)

    monkeypatch.setattr(owner, name, failing)


def test_a_generation_that_disagrees_is_not_used(
    fresh: FastHFLM,
    tiny_lm: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = Head.logits
    monkeypatch.setattr(Head, "logits", lambda self, hidden: plain(self, hidden) * 1.5)
    caplog.set_level(logging.WARNING)
    assert fresh.generate_until(texts()) == tiny_lm.generate_until(texts())
    assert "separate texts disagree on this architecture" in caplog.text
    assert fresh._generation.reason is not None


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_models(
    fresh: FastHFLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hook:
        dbdict = None

        def add_partial(self, *_: Any) -> None:
            raise OSError("the disk is full")

    fresh.set_cache_hook(Hook())
    with pytest.raises(CalibrationError, match="disk is full"):
        fresh.generate_until(texts())
    assert fresh._generation.reason is None


@pytest.mark.parametrize(
    "until", [["e"], ["th", "is"], [], "Question:", ["x" * 9, " "]], ids=lambda u: str(u)[:9]
)
def test_stop_strings_as_hf_has_them(
    fresh: FastHFLM, tiny_lm: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"until": until, "max_gen_toks": 24, "do_sample": False}
    assert fresh.generate_until(texts(settings)) == tiny_lm.generate_until(texts(settings))


@pytest.mark.parametrize("mark", [7, "th"])
def test_thinking_is_taken_off_as_hf_does(tiny_model: Path, mark: int | str) -> None:
    from lm_eval.models.huggingface import HFLM

    options = {"device": "cpu", "dtype": "float32", "think_end_token": mark}
    fast, plain = (kind(pretrained=str(tiny_model), **options) for kind in (FastHFLM, HFLM))
    settings = {"until": ["."], "max_gen_toks": 24}
    assert fast.generate_until(texts(settings)) == plain.generate_until(texts(settings))


def test_batch_sizes_bound_the_rows(tiny_model: Path) -> None:
    def rows(**given: Any) -> int | None:
        fast = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32", **given)
        fast.generate_until(texts())
        return fast._generation.ways[0].writer.rows

    assert rows() is None and rows(batch_size="auto") is None and rows(batch_size=1) is None
    assert rows(batch_size=3) == 3 and rows(batch_size=3, batch_rows=1) == 1
    with pytest.raises(InvalidInputError, match="batch_rows"):
        rows(batch_rows=0)
