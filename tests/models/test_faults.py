"""Hundreds of documents, and in `make test-all` two thousand, through a server that fails in every way."""

from __future__ import annotations

import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from fake_api import FakeApi
from lettered import LettersApi
from lm_eval import simple_evaluate
from scripted_base import dice
from yes_no import yes_no_tasks

from lm_eval_calibration.errors import InvalidInputError, RefusedByServerError
from lm_eval_calibration.models.shared.phases import Phases
from lm_eval_calibration.models.shared.reply import Failed

COUNTS = [60, pytest.param(2000, marks=pytest.mark.exhaustive)]
BROKEN = (3, 17, 59)
UNDER_WAY = 6


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    return int(getattr(request, "param", COUNTS[0]))


@pytest.fixture
def many(count: int, tmp_path: Path) -> Any:
    return yes_no_tasks(tmp_path / "many", count)


def number(prompt: str) -> int:
    return int(prompt.split("What is item ")[1].split()[0])


def faulty(prompt: str, attempt: int) -> str:
    """One request in ten fails once, in one of five ways; three documents fail always."""
    if number(prompt) in BROKEN:
        return "500"
    kinds = ("429", "500", "drop", "truncate", "slow")
    return kinds[int(50 * dice(prompt)) % 5] if attempt == 0 and dice(prompt) < 0.1 else ""


class DecisionsApi(FakeApi):
    """A server of yes-or-no questions, which it answers by their documents."""

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        fault, body = super().serve({"prompt": payload["state"], "echo": True, **payload})
        p = round(dice(payload["state"]), 4)
        return fault, body if fault.isdecimal() else {
            "answers": {"answer": {"type": "noul", "noul": p}}
        }


APIS: dict[str, type[FakeApi]] = {
    "verbalized": FakeApi,
    "option_tokens": LettersApi,
    "systemone": DecisionsApi,
}
"""Servers, by the wrappers that ask them."""


def evaluate(
    api: FakeApi, many: Any, model: str = "verbalized", retries: int = 2, at_once: int = 32,
    **options: Any,
) -> dict[str, Any]:  # fmt: skip
    base = {} if model == "systemone" else {"base": "local-chat-completions"}
    server = {"model": "m", "base_url": api.url, "num_concurrent": at_once, "max_retries": retries}
    arguments = {**base, **server}
    return dict(
        simple_evaluate(
            model=model, model_args=arguments, tasks=["calib_many"], task_manager=many,
            apply_chat_template=True, bootstrap_iters=0, **options,
        )
    )  # fmt: skip


@pytest.mark.parametrize("count", COUNTS, indirect=True)
@pytest.mark.parametrize("model", APIS)
def test_every_document_has_an_answer_or_a_reason(
    model: str, many: Any, count: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.CRITICAL)
    with APIS[model](faults=faulty) as api:
        results = evaluate(api, many, model, use_cache=str(tmp_path / "cache"))
    samples = results["samples"]["calib_many"]
    assert sorted(s["doc_id"] for s in samples) == list(range(count))
    failed = [s["doc_id"] for s in samples if s["stated"]["status"] == "invalid"]
    assert failed == list(BROKEN)
    for sample in samples:
        if sample["doc_id"] in BROKEN:
            assert "500" in sample["stated"]["notes"][0]
    answered = Counter(number(json.dumps(p)) for p in api.payloads)
    assert set(answered) == set(range(count)) - set(BROKEN)
    assert answered.total() < 1.02 * count + 32  # (of those under way when another failed, a few)
    row = results["results"]["calib_many"]
    assert row["invalid_rate,none"] == pytest.approx(3 / count)
    with APIS[model]() as mended:  # what failed was not kept: it alone is asked again
        again = evaluate(mended, many, model, use_cache=str(tmp_path / "cache"))
    again_asked = [number(json.dumps(p)) for p in mended.payloads]
    assert set(again_asked) == set(BROKEN) and len(again_asked) <= len(BROKEN) + 1
    assert again["results"]["calib_many"]["invalid_rate,none"] == 0


@pytest.mark.parametrize("count", [120], indirect=True)
@pytest.mark.parametrize("model", APIS)
def test_a_server_that_is_gone_ends_the_run_and_loses_nothing(
    model: str, many: Any, count: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.CRITICAL)
    cache = str(tmp_path / "cache")
    answered: set[int] = set()

    def dies(prompt: str, attempt: int) -> str:
        if len(answered) >= 40:
            return "500"
        answered.add(number(prompt))
        return ""

    with APIS[model](faults=dies) as api, pytest.raises(Exception, match="500"):
        evaluate(api, many, model, retries=1, use_cache=cache, at_once=UNDER_WAY)
    with APIS[model]() as mended:
        results = evaluate(mended, many, model, use_cache=cache)
    asked = {number(json.dumps(p)) for p in mended.payloads}
    # (what was under way when another request failed may have been sent and not read; and a first
    # question finds out how many tokens the server gives: its answer is not kept)
    assert len(asked & answered) <= UNDER_WAY and len(asked | answered) == count
    assert results["results"]["calib_many"]["invalid_rate,none"] == 0


def test_intolerant_phases_let_an_error_through() -> None:
    class Broken:
        def set_cache_hook(self, hook: Any) -> None:
            """Nothing is reported."""

        def generate_until(self, requests: list[Any]) -> list[str]:
            if requests[0].args[0] == "healthy":
                return ["yes"]
            raise OSError("no route")

    class Request:
        args, doc, task_name, doc_id = ("prompt", {}), {}, "toy", 0

    class Healthy(Request):
        args = ("healthy", {})

    with pytest.raises(OSError, match="no route"):
        Phases(Broken(), "x").generate([Request()], "asking")
    with pytest.raises(InvalidInputError, match="no route"):  # (nothing was ever answered)
        Phases(Broken(), "x").samples([Request()] * 2, 1, 0.0, "asking", True)
    heard = Phases(Broken(), "x")
    heard.samples([Healthy()], 1, 0.0, "asking", True)
    ((one,), (two,)) = heard.samples([Request()] * 2, 1, 0.0, "asking", True)
    assert isinstance(one, Failed) and two.reason == "OSError: no route" and one == ""
    with pytest.raises(RefusedByServerError, match=r"no answers any more .*no route"):
        Phases(Broken(), "x").samples([Request()] * 3, 1, 0.0, "asking", True)
