"""What a logged run says of its model and of its prompts: by our record, or the harness's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.requests import RECORD
from lm_eval_calibration.json_text import part
from lm_eval_calibration.models import MODELS
from lm_eval_calibration.names import model_of_arguments, upstream_name
from lm_eval_calibration.prompt_format import (
    LOG_LIKELIHOODS,
    PromptFormat,
    of_config,
    option_style,
)

SCORED = ("hf-fast",)
"""Models of ours that state what `hf` would."""


def model_of(logged: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Name and fingerprint of the model of a run, by its results files.

    "" for what they do not say, or not as one.
    """
    names = {_name(results) for results in logged}
    prints = {str(_record(results).get("fingerprint") or "") for results in logged}
    return _only(names), _only(prints)


def _only(found: set[str]) -> str:
    return found.pop() if len(found) == 1 else ""


def prompts_of(files: Sequence[Mapping[str, Any]], tasks: Iterable[str]) -> dict[str, PromptFormat]:
    """How a run's documents became prompts, by the upstream name of each task.

    Args:
        files: the run's results files, newest first.
        tasks: names as logged.
    """
    found: dict[str, PromptFormat] = {}
    for logged in tasks:
        task = upstream_name(logged)
        for results in files:
            one = _recorded(results, task) or _of_harness(results, logged)
            if one is not None:
                found.setdefault(task, one)
    return found


def _record(results: Mapping[str, Any]) -> Mapping[str, Any]:
    found = results.get(RECORD)
    return found if isinstance(found, Mapping) else {}


def _recorded(results: Mapping[str, Any], task: str) -> PromptFormat | None:
    """By our own record; a damaged one says nothing."""
    try:
        return of_config(_record(results).get("prompts")).get(task)
    except (InvalidInputError, TypeError):
        return None


def _of_harness(results: Mapping[str, Any], task: str) -> PromptFormat | None:
    """By what the harness logs of any run."""
    shots = part(results, "n-shot").get(task)
    if type(shots) is not int:
        return None
    said = results.get("model_source") is not None  # (else nobody told the file of the prompts)
    chat, system = (
        str(results.get(key) or "") if said else None
        for key in ("chat_template_sha", "system_instruction_sha")
    )
    turns = results.get("fewshot_as_multiturn") if shots and chat else None
    config = part(part(results, "configs"), task)
    options = config.get("doc_to_choice")
    listed = isinstance(options, list) and all(isinstance(option, str) for option in options)
    return PromptFormat(
        shots,
        chat,
        system,
        turns if isinstance(turns, bool) else None,
        option_style(options) if listed and isinstance(options, list) else None,
        _beliefs(part(results, "config").get("model"), config.get("output_type")),
    )


def _beliefs(model: Any, output_type: Any) -> str | None:
    if isinstance(model, str) and model in MODELS and model not in SCORED:
        return model
    return LOG_LIKELIHOODS if output_type == "multiple_choice" and isinstance(model, str) else None


def _name(results: Mapping[str, Any]) -> str:
    config = part(results, "config")
    given = config.get("model_args")
    if isinstance(given, str):
        given = {k: v for k, _, v in (part.partition("=") for part in given.split(","))}
    arguments = given if isinstance(given, Mapping) else {}
    return model_of_arguments(arguments) or str(results.get("model_name") or "")
