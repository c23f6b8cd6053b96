"""Read what a harness run logged with `--log_samples`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.families import PAIRS
from lm_eval_calibration.metrics.table import METRICS
from lm_eval_calibration.predictions import Predictions

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl")


def sample_files(runs: Iterable[str | Path]) -> dict[str, Path]:
    """The newest samples file of each task among files and run folders.

    Args:
        runs: `samples_<task>_<date>.jsonl` files, or folders searched for them at any depth.

    Returns:
        File by task name, in the order found.

    Raises:
        InvalidInputError: a path does not exist, is no samples file, or a folder holds none.
    """
    newest: dict[str, tuple[str, Path]] = {}
    for run in map(Path, runs):
        for path in _files(run):
            if match := _NAME.fullmatch(path.name):
                task, date = match["task"], match["date"]
                if task not in newest or date > newest[task][0]:
                    newest[task] = (date, path)
    return {task: path for task, (_, path) in newest.items()}


def load_samples(path: str | Path) -> Predictions:
    """The predictions of a calibration twin's run, from its samples file.

    Args:
        path: a `samples_calib_<task>_<date>.jsonl` file.

    Returns:
        Confidence and verdict of every document.

    Raises:
        InvalidInputError: not JSON lines, no documents, or documents without a logged
            (confidence, correct) pair, as of a run of the upstream task.
    """
    pairs = [_pair(sample, path, number) for number, sample in _samples(path)]
    if not pairs:
        raise InvalidInputError(f"{path} holds no samples.")
    confidence, correct = PAIRS.from_rows(pairs)
    return Predictions.from_confidences(confidence, correct)


def load_runs(runs: Iterable[str | Path]) -> tuple[dict[str, Predictions], list[str]]:
    """The predictions of every task in `runs` (see `sample_files`) that logged any.

    Returns:
        Predictions by task name; and for each file without any, such as that of a generation
        task in a mixed group, why.

    Raises:
        InvalidInputError: none of the files holds predictions; or as `sample_files`.
    """
    predictions: dict[str, Predictions] = {}
    unread = []
    for task, path in sample_files(runs).items():
        try:
            predictions[task] = load_samples(path)
        except InvalidInputError as error:
            unread.append(str(error))
    if not predictions:
        raise InvalidInputError("No predictions in any of these files. " + " ".join(unread))
    return predictions, unread


def _files(run: Path) -> list[Path]:
    if run.is_dir():
        found = sorted(p for p in run.rglob("samples_*.jsonl") if _NAME.fullmatch(p.name))
        if not found:
            raise InvalidInputError(
                f"{run} holds no samples_<task>_<date>.jsonl. Run lm_eval with --log_samples and "
                "--output_path."
            )
        return found
    if not run.exists():
        raise InvalidInputError(f"{run} does not exist.")
    if not _NAME.fullmatch(run.name):
        raise InvalidInputError(f"{run} is not named samples_<task>_<date>.jsonl.")
    return [run]


def _samples(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with Path(path).open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidInputError(f"{path}, line {number}: not JSON ({error}).") from None


def _pair(sample: dict[str, Any], path: str | Path, number: int) -> list[float]:
    for name, metric in METRICS.items():
        if metric.family is PAIRS and name in sample:
            return sample[name]
    raise InvalidInputError(
        f"{path}, line {number}: no (confidence, correct) pair. Log the samples of the task's "
        "twin, calib_<task>."
    )
