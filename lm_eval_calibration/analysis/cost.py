"""What a run took: requests, tokens, time, money; and what all documents of its tasks would take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_eval_calibration.logs import Run

MILLION = 1_000_000
COUNTS = (("requests",), ("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
"""Of `config.usage`, as wrappers write them; decision models call two of them otherwise."""


class Price(NamedTuple):
    """Of a million tokens of prompts, and of replies."""

    prompts: float
    replies: float


class Cost(NamedTuple):
    """What some documents took, or would.

    Attributes:
        documents: how many.
        requests: to the model, or to the server; NaN where nothing was counted, as for all that follow.
        prompt_tokens: that it read.
        completion_tokens: that it wrote.
        seconds: of the evaluation.
        price: of the tokens; NaN without a price.
    """

    documents: int
    requests: float
    prompt_tokens: float
    completion_tokens: float
    seconds: float
    price: float


class CostAccount(NamedTuple):
    """A run's cost, and that of all documents of its tasks."""

    run: str
    model: str
    spent: Cost
    whole: Cost


def cost_of(run: Run, price: Price | None = None) -> list[CostAccount]:
    """The accounts of a run's results files, newest first; see `account_of`."""
    return [account_of(run.label, results, price) for results in run.results]


def account_of(label: str, results: Mapping[str, Any], price: Price | None = None) -> CostAccount:
    """What one evaluation call took, and what it would on all documents of its tasks.

    What was kept from earlier runs (`--use_cache`) was not asked again, and is not among what the call took; it
    is among what all documents would. Time that was not spent asking, such as loading, is counted once.

    Args:
        label: of the run.
        results: as the harness wrote them.
        price: of tokens.
    """
    config = _mapping(results.get("config"))
    usage = _mapping(config.get("usage"))
    requests, prompts, replies = (
        _number(next((usage[name] for name in names if name in usage), None)) for names in COUNTS
    )
    sizes = [_mapping(each) for each in _mapping(results.get("n-samples")).values()]
    made, all_of_them = (
        sum(int(size.get(name, 0)) for size in sizes) for name in ("effective", "original")
    )
    paid = math.nan
    if price is not None:
        paid = (prompts * price.prompts + replies * price.replies) / MILLION
    seconds = _number(results.get("total_evaluation_time_seconds"))
    spent = Cost(made, requests, prompts, replies, seconds, paid)
    factor = all_of_them / made if made else math.nan
    asked, kept = (_number(usage.get(name)) for name in ("asked", "kept"))
    more = factor * ((asked + kept) / asked if asked > 0 and kept > 0 else 1)
    asking = _number(usage.get("asking_seconds"))
    asking = seconds if math.isnan(asking) else asking
    time = seconds - asking + asking * more
    whole = Cost(all_of_them, requests * more, prompts * more, replies * more, time, paid * more)
    model = str(results.get("model_name") or config.get("model") or "")
    return CostAccount(label, model, spent, whole)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float:
    """A count or a duration, which the harness writes as text; NaN of anything else."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
