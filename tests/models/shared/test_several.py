"""Samples of a prompt that come with one request are those that come one by one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from fake_api import FakeApi, first_ones
from lm_eval import simple_evaluate

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
TASK = "calib_toy_generate"
BASES = {"local-chat-completions": "url", "local-completions": "completions"}
PROBE, DOCUMENTS, CANDIDATES = 1, 12, 5


def pools(api: FakeApi, tasks: Any, base: str, **options: Any) -> list[list[str]]:
    arguments = {
        "base": base, "model": "m", "base_url": getattr(api, BASES[base]), "candidates": CANDIDATES,
        "tokenizer_backend": None, "tokenized_requests": False, "max_retries": 2, **options,
    }  # fmt: skip
    cache = arguments.pop("use_cache", None)
    results = simple_evaluate(
        model="self_consistency", model_args=arguments, tasks=[TASK], task_manager=tasks,
        apply_chat_template="chat" in base, bootstrap_iters=10, limit=DOCUMENTS, use_cache=cache,
    )  # fmt: skip
    return [sample["envelopes"]["candidates"] for sample in results["samples"][TASK]]


@pytest.mark.parametrize("concurrent", [1, 4])
@pytest.mark.parametrize("base", BASES)
def test_one_request_for_all(base: str, concurrent: int, tasks: Any) -> None:
    found, counts = [], []
    for several in (None, 0, 3, 64):
        with FakeApi(several=several) as api:
            found.append(pools(api, tasks, base, num_concurrent=concurrent))
            counts.append(len(api.payloads))
    assert all(each == found[0] for each in found)
    assert any(len(set(pool)) > 1 for pool in found[0])
    alone = DOCUMENTS * CANDIDATES
    assert counts[:2] == [alone + PROBE, alone + PROBE]
    assert counts[3] == DOCUMENTS + PROBE


def test_fewer_than_were_asked_for_are_made_up_for(
    tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with FakeApi(several=3) as api, caplog.at_level(logging.WARNING):
        pools(api, tasks, "local-chat-completions")
        assert caplog.text.count("fewer samples than were asked for") == 1
        assert len(api.payloads) == PROBE + DOCUMENTS + DOCUMENTS * (CANDIDATES - 1)


def test_a_run_goes_on_where_it_was(tasks: Any, tmp_path: Path) -> None:
    """With more candidates, those that are kept are not asked again."""
    base, kept = "local-chat-completions", str(tmp_path / "kept")
    with FakeApi(several=64) as api:
        few = pools(api, tasks, base, candidates=3, use_cache=kept)
        count = len(api.payloads)
        more = pools(api, tasks, base, candidates=5, use_cache=kept)
        again = [p for p in api.payloads[count:] if p.get("max_tokens") != 1]
        assert len(again) == DOCUMENTS and {p["n"] for p in again} == {2}
        assert [pool[:3] for pool in more] == few
        assert more == pools(api, tasks, base)


def test_faults_are_tried_again(tasks: Any) -> None:
    with FakeApi(several=64, faults=first_ones(3)) as api:
        found = pools(api, tasks, "local-chat-completions", max_retries=5)
    with FakeApi() as api:
        assert pools(api, tasks, "local-chat-completions") == found
