"""A leaderboard's figures as records of Every Eval Ever, one for each model.

Source: github.com/evaleval/every_eval_ever, its schema 0.3.0 (August 2026) and the rules of its store:
`data/<collection>/<developer>/<model>/<UUID>.json`.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration._version import __version__
from lm_eval_calibration.analysis.leaderboard import Figure, Leaderboard, Standing
from lm_eval_calibration.exports.origin import HUB, UNKNOWN, Origin, dataset, origin
from lm_eval_calibration.files import write_text
from lm_eval_calibration.files.marks import NAME, RECORD
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.metrics.table import bind

SCHEMA = "0.3.0"
COLLECTION = NAME
_CANONICAL = {"acc": "accuracy", "auroc": "auroc"}
_RESERVED = re.compile(r"(data|con|prn|aux|nul|com[1-9]|lpt[1-9])", re.IGNORECASE)


def write_records(
    board: Leaderboard,
    runs: Sequence[Run],
    folder: Path,
    *,
    organization: str = UNKNOWN,
    replicates: int,
    now: float | None = None,
) -> tuple[list[Path], list[str]]:
    """Write one record a model.

    Args:
        board: what was ranked.
        runs: it was made of.
        folder: that holds, or will hold, `data/`.
        organization: who provides the figures.
        replicates: of the bootstrap that gave the intervals.
        now: seconds since 1970; by default the clock's.

    Returns:
        The files, and what was left out: figures that are infinite or undefined.

    Raises:
        OutputError: something else stands there, or it cannot be written to.
    """
    by_label = {run.label: run for run in runs}
    made = time.time() if now is None else now
    paths, notes = [], []
    for standing in board.standings:
        run = by_label[standing.model]
        results, left_out = _results(board, standing, run, replicates)
        if left_out:
            notes.append(f"{standing.model}: {left_out} figure(s) are infinite or undefined")
        about = origin(run)
        record = _record(about, results, organization, made)
        path = folder / "data" / COLLECTION / _place(about.model) / f"{_identity(record)}.json"
        text = json.dumps(record, indent=2, allow_nan=False) + "\n"
        write_text(path, text, RECORD)
        paths.append(path)
    return paths, notes


def _record(
    about: Origin, results: list[dict[str, Any]], organization: str, made: float
) -> dict[str, Any]:
    developer, name = _parts(about.model)
    deployed = {True: "self_deployed", False: "externally_managed", None: UNKNOWN}
    record = {
        "schema_version": SCHEMA,
        "evaluation_id": f"{COLLECTION}/{about.model}/{made:.0f}",
        "retrieved_timestamp": f"{made:.0f}",
        "source_metadata": {
            "source_name": f"{NAME} leaderboard",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
            "additional_details": {"made_by": f"{NAME} {__version__}"},
        },
        "eval_library": {"name": about.library, "version": about.version},
        "model_info": {
            "name": name,
            "id": about.model,
            "developer": developer,
            "additional_details": {
                **about.details,
                "deployment_type": deployed[about.deployed],
                "model_availability": "open_weights" if about.deployed else UNKNOWN,
            },
        },
        "evaluation_results": results,
    }
    if about.date is not None:
        record["evaluation_timestamp"] = f"{about.date:.0f}"
    return record


def _results(
    board: Leaderboard, standing: Standing, run: Run, replicates: int
) -> tuple[list[dict[str, Any]], int]:
    found, left_out = [], 0
    for metric in board.metrics:
        if bind(metric).higher_is_better is None:
            continue
        for task, figure in standing.tasks[metric].items():
            if not math.isfinite(figure.value):
                left_out += 1
                continue
            samples = standing.samples.get(task)
            count = len(samples) if samples else sum(map(len, standing.samples.values()))
            found.append(
                {
                    "evaluation_name": task or "all tasks pooled",
                    "source_data": _source(run, task, count),
                    "metric_config": _metric(metric),
                    "score_details": _score(figure, count, replicates, _closed_form(metric, task)),
                }
            )
    return found, left_out


def _source(run: Run, task: str, count: int) -> dict[str, Any]:
    of = dataset(run, task)
    name = task or "all tasks pooled"
    if of.repository is None:
        return {"dataset_name": name, "source_type": "other"}
    known = {"hf_repo": of.repository, "hf_split": of.split, "samples_number": count}
    return {
        "dataset_name": name,
        "source_type": "hf_dataset",
        **{key: value for key, value in known.items() if value is not None},
    }


def _metric(name: str) -> dict[str, Any]:
    bound = bind(name)
    low, high = bound.metric.bounds
    return {
        "evaluation_description": bound.metric.meaning,
        "metric_id": _CANONICAL.get(name, f"lm_eval_calibration.{name}"),
        "metric_name": name,
        "metric_kind": _CANONICAL.get(name, name),
        "metric_unit": {1.0: "proportion", math.inf: "nats"}.get(high, "points"),
        "lower_is_better": not bound.higher_is_better,
        "score_type": "continuous",
        "min_score": _bound(low),
        "max_score": _bound(high),
    }


def _bound(value: float) -> float | str:
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _closed_form(metric: str, task: str) -> bool:
    """Whether a figure's interval needs no replicates."""
    return bool(task) and bind(metric).metric.family.closed_form is not None


def _score(figure: Figure, count: int, replicates: int, closed_form: bool) -> dict[str, Any]:
    uncertainty: dict[str, Any] = {"num_samples": count}
    if math.isfinite(figure.low) and math.isfinite(figure.high):
        uncertainty["confidence_interval"] = {
            "lower": figure.low,
            "upper": figure.high,
            "confidence_level": 0.95,
            "method": "closed form" if closed_form else "bootstrap over documents",
        }
        if not closed_form:
            uncertainty["num_bootstrap_samples"] = replicates
    return {"score": figure.value, "uncertainty": uncertainty}


def _identity(record: Mapping[str, Any]) -> uuid.UUID:
    """The same figures of the same model have the same name, whenever they are written."""
    lasting = {
        key: value
        for key, value in record.items()
        if key not in ("evaluation_id", "retrieved_timestamp")
    }
    digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).digest()
    return uuid.UUID(bytes=digest[:16], version=4)


def _parts(model: str) -> tuple[str, str]:
    developer, _, name = model.rpartition("/") if HUB.fullmatch(model) else ("", "", model)
    return developer or UNKNOWN, name


def _place(model: str) -> Path:
    """Two folders that every file system can have, and that lead nowhere else."""
    return Path(*(_portable(part) for part in _parts(model)))


def _portable(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._+ -]+", "_", name).strip(". ")[:150] or "model"
    if not name.isascii():  # (names that differ must not become one)
        safe += f"-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return f"{safe}_" if _RESERVED.fullmatch(safe.split(".")[0]) else safe
