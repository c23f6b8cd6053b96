"""The harness's classes and functions that models, filters and fits are made of, under its names."""

import lm_eval.models  # noqa: F401  (the harness fills its registry only if it finds it empty)
from lm_eval.api.filter import Filter
from lm_eval.api.instance import Instance
from lm_eval.api.metrics import mean
from lm_eval.api.model import LM, CachingLM, hash_args
from lm_eval.api.registry import get_model, register_model
from lm_eval.utils import handle_non_serializable, hash_string, simple_parse_args_string

__all__ = [
    "LM",
    "CachingLM",
    "Filter",
    "Instance",
    "get_model",
    "handle_non_serializable",
    "hash_args",
    "hash_string",
    "mean",
    "register_model",
    "simple_parse_args_string",
]
