"""How runs were made, from results files complete and broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration import Predictions
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.report.provenance import accounts, date_of


def run_with(*results: dict[str, Any]) -> Run:
    samples = Samples("m", "arc", Path("s.jsonl"), Predictions.from_confidences([0.5], [1]))
    return Run("m", {"arc": samples}, results=results)


def test_everything_may_be_absent() -> None:
    (account,) = accounts(run_with({}))
    assert account == type(account)(facts=(), tasks=(), environment="")
    assert accounts(run_with()) == []
    assert date_of(run_with()) == date_of(run_with({})) == ""


def test_facts_in_words() -> None:
    (account,) = accounts(
        run_with(
            {
                "config": {"model": "hf", "model_args": "pretrained=x", "limit": 5, "device": None},
                "versions": {"arc": 1.0, "other": 2.0},
                "n-shot": {"arc": 5},
                "configs": {"arc": {"task": "arc"}},
                "chat_template": "{{ messages }}",
                "chat_template_sha": "abc",
                "date": 0,
                "total_evaluation_time_seconds": 59.6,
            }
        )
    )
    assert dict(account.facts) == {
        "model": "hf",
        "model arguments": "pretrained=x",
        "limit of documents": "5",
        "chat template": "yes, SHA abc",
        "date": "1970-01-01 00:00 UTC",
        "evaluation time": "1 min 0 s",
    }
    assert account.tasks == (("arc", "1.0", "5", '{\n  "task": "arc"\n}'),)


@pytest.mark.parametrize("date", [float("inf"), 1e30, "yesterday", None, True, float("nan")])
def test_impossible_dates(date: Any) -> None:
    assert date_of(run_with({"date": date, "config": "none", "versions": []})) == ""


def test_the_newest_date() -> None:
    assert date_of(run_with({"date": 86400.0}, {"date": 0})) == "1970-01-02 00:00 UTC"
