"""How runs were made, by the harness's own account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from lm_eval_calibration.json_text import part
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.logs.secret_places import RESULTS
from lm_eval_calibration.redact import redact

_CONFIG = (
    ("model", "model"),
    ("model_args", "model arguments"),
    ("model_num_parameters", "parameters"),
    ("model_dtype", "data type"),
    ("model_revision", "revision"),
    ("model_sha", "model commit"),
    ("num_fewshot", "few-shot examples"),
    ("batch_size", "batch size"),
    ("device", "device"),
    ("limit", "limit of documents"),
    ("gen_kwargs", "generation arguments"),
)
_RESULTS = (
    ("model_name", "model name"),
    ("system_instruction", "system instruction"),
    ("fewshot_as_multiturn", "few-shot as turns"),
    ("max_length", "context length"),
    ("lm_eval_version", "lm_eval"),
    ("transformers_version", "transformers"),
    ("git_hash", "git commit"),
)
_SEEDS = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")


@dataclass(frozen=True)
class RunAccount:
    """What one results file says.

    Attributes:
        facts: names and values, in the order to show.
        tasks: of each task its name, version, few-shot examples, and configuration as JSON.
        environment: what the harness saw of the machine; may be empty.
    """

    facts: tuple[tuple[str, str], ...]
    tasks: tuple[tuple[str, str, str, str], ...]
    environment: str


def accounts(run: Run) -> list[RunAccount]:
    """One account for each results file of the run, newest first, without secrets."""
    return [_account(redact(results, place=RESULTS), run.samples) for results in run.results]


def date_of(run: Run) -> str:
    """When the run was made, or nothing if it does not say."""
    dates = [_date(results) for results in run.results]
    return max(dates, default="")


def _account(results: Mapping[str, Any], tasks: Mapping[str, Any]) -> RunAccount:
    config = part(results, "config")
    facts = [(label, config.get(key)) for key, label in _CONFIG]
    facts += [(label, results.get(key)) for key, label in _RESULTS]
    facts += [("chat template", _template(results)), ("date", _date(results))]
    facts += [("evaluation time", _duration(results.get("total_evaluation_time_seconds")))]
    seeds = {n.removesuffix("_seed"): config[n] for n in _SEEDS if config.get(n) is not None}
    facts += [("seeds", ", ".join(f"{name} {seed}" for name, seed in seeds.items()))]
    return RunAccount(
        facts=tuple((name, _text(value)) for name, value in facts if value not in (None, "", {})),
        tasks=tuple(_tasks(results, tasks)),
        environment=_text(results.get("pretty_env_info") or ""),
    )


def _tasks(results: Mapping[str, Any], tasks: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The tasks that were read, and those alone."""
    versions, shots = part(results, "versions"), part(results, "n-shot")
    configs = part(results, "configs")
    return [
        (
            name,
            _text(versions.get(name, "")),
            _text(shots.get(name, "")),
            json.dumps(configs[name], indent=2, ensure_ascii=False, default=str)
            if name in configs
            else "",
        )
        for name in tasks
        if name in versions or name in configs
    ]


def _template(results: Mapping[str, Any]) -> str | None:
    template = results.get("chat_template")
    if not template:
        return "none" if "chat_template" in results else None
    sha = results.get("chat_template_sha")
    return f"yes, SHA {sha}" if sha else "yes"


def _date(results: Mapping[str, Any]) -> str:
    seconds = results.get("date")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return ""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return ""


def _duration(seconds: Any) -> str | None:
    try:
        total = round(float(seconds))
    except (TypeError, ValueError, OverflowError):
        return None
    minutes, rest = divmod(total, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return str(value)
