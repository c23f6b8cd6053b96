"""The harness's classes and functions that models, filters and fits are made of, under its names."""

from typing import Any

import lm_eval.models  # noqa: F401  (the harness fills its registry only if it finds it empty)
from lm_eval.api.filter import Filter
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.model import LM, CachingLM, hash_args
from lm_eval.api.registry import get_model, register_model
from lm_eval.utils import (
    get_rolling_token_windows,
    handle_non_serializable,
    hash_string,
    make_disjoint_window,
    simple_parse_args_string,
)

from lm_eval_calibration.harness.lines import bridge

__all__ = [
    "LM",
    "CachingLM",
    "Filter",
    "Instance",
    "about",
    "gather_object",
    "get_model",
    "get_rolling_token_windows",
    "handle_non_serializable",
    "hash_args",
    "hash_string",
    "make_disjoint_window",
    "mean",
    "register_model",
    "rolling_answer",
    "rolling_value",
    "simple_parse_args_string",
]


def about(task_name: str, doc_id: int) -> dict[str, Any]:
    """What a new `Instance` says of its document, as keyword arguments."""
    found: dict[str, Any] = bridge().about(task_name, doc_id)
    return found


def gather_object(lm: Any, obj: Any, dst: int = 0) -> list[Any] | None:
    """The objects of all of a model's processes on process `dst`, nothing on the others."""
    found: list[Any] | None = bridge().gather_object(lm, obj, dst)
    return found


def rolling_answer(value: float) -> Any:
    """A log-likelihood as the answer to a rolling request."""
    return bridge().rolling_answer(value)


def rolling_value(answer: Any) -> Any:
    """The log-likelihood in such an answer."""
    return bridge().rolling_value(answer)
