"""Scores of unfamiliarity of a run's documents, from what was logged of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import entr

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.lines import again
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.metrics.decomposition import Decomposition
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.ragged import Ragged, blocks

MEANINGS = {
    "entropy": "of the (averaged) option probabilities, nats",
    "max_probability": "1 less the most probable option's",
    "confidence": "1 less the one that was logged, of documents without options",
    "score": "its negative, of tables of scores",
    "mutual_information": "between the answer and the draw, nats",
    "expected_entropy": "of the single draws, nats",
    "disagreement": "share of draws that prefer another option",
}
LOGGED = tuple(name for name in Decomposition._fields if name != "entropy")
"""What only a model of several draws says, and a twin logs."""


def scores(run: Run) -> dict[str, Floats]:
    """Each score (N,) of all documents of a run, higher for less familiar ones.

    Those of single draws only where the run logged them for every document.

    Raises:
        InvalidInputError: some tasks logged options and others confidences or scores, or a file is gone.
    """
    parts = [_of_task(samples) for samples in run.samples.values()]
    common = [name for name in MEANINGS if all(name in part for part in parts)]
    if not common:
        kinds = [f"`{upstream_name(s.task)}` ({_kind(s)})" for s in run.samples.values()]
        raise InvalidInputError(
            f"The tasks of a run must have one kind of belief, got {', '.join(kinds)}: name the files of one kind."
        )
    return {name: np.concatenate([part[name] for part in parts]) for name in common}


def cautions(inside: Run, outside: Run) -> list[str]:
    """What a reader must know before the figures of two runs are believed."""
    found = []
    mine, theirs = (
        np.concatenate([s.doc_hash for s in run.samples.values()]) for run in (inside, outside)
    )
    both = len(np.intersect1d(mine, theirs))
    if both:
        found.append(f"{both:,} document(s) are in both runs.")
    paths = [{s.path for s in run.samples.values()} for run in (inside, outside)]
    if not both and paths[0] & paths[1]:
        found.append("both runs are of the same file.")
    options = [sorted(_option_counts(run)) for run in (inside, outside)]
    if options[0] != options[1]:
        found.append(
            f"the documents have {_words(options[0])} options in one run and {_words(options[1])} "
            "in the other: with more options entropy can be higher."
        )
    names = [_model(run) for run in (inside, outside)]
    if names[0] != names[1]:
        found.append(f"the runs are of two models, {names[0]} and {names[1]}.")
    return found


def _of_task(samples: Samples) -> dict[str, Floats]:
    p = samples.predictions
    if p.are_scores:
        return {"score": -p.confidence}
    if p.options is None:
        return {"confidence": 1 - p.confidence}
    found = {
        "entropy": _entropy(p.options),
        "max_probability": 1 - p.confidence,
    }
    return {**found, **_logged(samples)}


def _kind(samples: Samples) -> str:
    p = samples.predictions
    return "scores" if p.are_scores else "confidences" if p.options is None else "options"


def _entropy(options: Ragged) -> Floats:
    entropy = np.empty(len(options))
    for block in blocks(options.count):
        p = np.exp(block.padded(options.values, -np.inf))
        entropy[block.rows] = entr(p).sum(axis=1)
    return entropy


def _logged(samples: Samples) -> dict[str, Floats]:
    """The scores that stand in every line of the file; none of files that are no lines of the harness."""
    if not len(samples.offset):
        return {}
    columns: dict[str, list[float]] = {name: [] for name in LOGGED}
    for sample in again(samples.path, samples.offset):
        for name in list(columns):
            value = sample.get(name)
            if not isinstance(value, (int, float)) or not abs(value) < math.inf:
                del columns[name]
            else:
                columns[name].append(float(value))
        if not columns:
            break
    return {name: np.array(values) for name, values in columns.items()}


def _option_counts(run: Run) -> set[int]:
    counts: set[int] = set()
    for samples in run.samples.values():
        if samples.predictions.num_options is not None:
            counts |= {int(count) for count in np.unique(samples.predictions.num_options)}
    return counts


def _words(counts: Sequence[int]) -> str:
    return " or ".join(str(count) for count in counts) or "unknown"


def _model(run: Run) -> Any:
    names = {r.get("model_name") for r in run.results if r.get("model_name")}
    return names.pop() if len(names) == 1 else None
