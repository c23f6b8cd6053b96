"""Beliefs of a chat API: through the harness's own class and real HTTP."""

from __future__ import annotations

import logging
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from fake_api import FakeApi, first_ones
from lm_eval import simple_evaluate

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
TASK = "calib_toy_generate"


def evaluate(model: str, api: FakeApi, tasks: Any, **options: Any) -> dict[str, Any]:
    arguments = {"base": "local-chat-completions", "model": "m", "base_url": api.url, **options}
    return dict(
        simple_evaluate(
            model=model, model_args=arguments, tasks=[TASK], task_manager=tasks,
            apply_chat_template=True, bootstrap_iters=100,
        )
    )  # fmt: skip


def test_self_correct(tasks: Any) -> None:
    """Pools differ by their seeds; a picker that knows adds what there is to add."""
    with FakeApi(faults=first_ones(3)) as api:
        results = evaluate("self_correct", api, tasks, num_concurrent=4, max_retries=5)
    found = results["results"][TASK]
    assert found["norm_gain,none"] == pytest.approx(1) and found["dg_diff,none"] > 0.1
    assert len(api.payloads) == 40 * 4 + 40 * 4 and sum(api.tries.values()) == 323
    sampled = [p for p in api.payloads if p["temperature"] == 0.7]
    assert len(sampled) == 160 and len({p["seed"] for p in sampled}) == 4
    chosen = [p for p in api.payloads if p["temperature"] != 0.7]
    assert all(p["messages"][0]["content"].startswith("Question: What is item") for p in chosen)
    for sample in results["samples"][TASK]:
        assert sample["envelopes"]["candidates"].count("a guess") < 5
        assert len(sample["envelopes"]["said"]) == 4


def test_p_true_asks_for_a_number(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    """No log-likelihoods: a number is asked for, and a reply without one is counted."""
    with FakeApi() as api, caplog.at_level(logging.WARNING):
        results = evaluate("p_true", api, tasks)
    found = results["results"][TASK]
    assert "asked for a number instead" in caplog.text
    wrong = sum(s["exact_match"] == 0 for s in results["samples"][TASK])
    assert f"{wrong} of 40 replies name no probability" in caplog.text
    assert found["auroc,none"] == 1 and found["invalid_rate,none"] == wrong / 40
