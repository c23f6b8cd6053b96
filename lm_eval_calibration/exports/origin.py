"""What a run's results say of where its figures come from, for those who publish them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_eval_calibration.json_text import part
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.names import upstream_name

UNKNOWN = "unknown"
HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
"""Names of the hub: `owner/name`."""
_LOCAL = ("hf", "hf-fast", "vllm", "sglang", "gguf", "mamba_ssm", "openvino")
"""How `--model` begins where the user runs the weights."""


class Dataset(NamedTuple):
    """What a task's documents were read from; `repository` of the hub, or nothing where it is none."""

    repository: str | None
    configuration: str | None
    split: str | None
    revision: str | None


class Origin(NamedTuple):
    """Of a run: its model, the program that ran it, and when, in seconds since 1970.

    model: as the run names it, `developer/name` where it is of the hub.
    library, version: the program.
    date: `None` where nothing tells it.
    deployed: whether whoever ran it held the weights; `None` where that is not known.
    details: what else the results say of the model.
    """

    model: str
    library: str
    version: str
    date: float | None
    deployed: bool | None
    details: Mapping[str, str]


def origin(run: Run) -> Origin:
    """Of the newest results file, or of the run's label and logs alone."""
    formats = {s.format for s in run.samples.values()}
    library = formats.pop() if len(formats) == 1 else UNKNOWN
    if not run.results:
        return Origin(run.label, library or UNKNOWN, UNKNOWN, None, None, {})
    results = run.results[0]
    config = part(results, "config")
    kind = str(config.get("model") or "")
    known = {
        name: str(config[f"model_{name}"])
        for name in ("num_parameters", "dtype", "revision", "sha")
        if config.get(f"model_{name}")
    }
    date = results.get("date")
    return Origin(
        _model(run, results),
        "lm_eval",
        str(results.get("lm_eval_version") or UNKNOWN),
        float(date) if isinstance(date, (int, float)) else None,
        any(kind.startswith(name) for name in _LOCAL) if kind else None,
        known,
    )


def dataset(run: Run, task: str) -> Dataset:
    """What the documents of a task were read from, as the run's results have it."""
    for results in run.results:
        for name, config in part(results, "configs").items():
            if upstream_name(name) == upstream_name(task) and isinstance(config, Mapping):
                return _dataset(config)
    return Dataset(None, None, None, None)


def _dataset(config: Mapping[str, Any]) -> Dataset:
    path = str(config.get("dataset_path") or "")
    arguments = part(config, "dataset_kwargs")
    revision = arguments.get("revision")
    return Dataset(
        path if HUB.fullmatch(path) else None,
        str(config["dataset_name"]) if config.get("dataset_name") else None,
        config.get("test_split") or config.get("validation_split"),
        str(revision) if revision else None,
    )


def _model(run: Run, results: Mapping[str, Any]) -> str:
    """The hub's name of the model, else the run's own label: never a folder of somebody's machine."""
    name = str(results.get("model_name") or "")
    return name if HUB.fullmatch(name) else run.label
