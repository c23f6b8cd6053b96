"""What was read of a run: its tasks' predictions, its groups, and what the harness said of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.combine import Arithmetic
from lm_eval_calibration.normalisation import NORMALISATIONS
from lm_eval_calibration.predictions import Predictions

WITHHELD = "metrics of length-normalised beliefs"
"""What notes say that it is withheld, where nothing tells how long options are."""

MAPPED = "its beliefs are "
"""How notes begin of samples whose beliefs a calibrator mapped, plain ones alone."""

AS_SCORES = (
    "its scores are no probabilities, so that metrics of calibration are withheld; `lm-calib fit platt` (or "
    "isotonic) on labelled scores makes a map for --calibrator"
)
"""What notes say of a table of scores."""


@dataclass(frozen=True, eq=False)
class Samples:
    """The logged documents of one task in one run.

    Attributes:
        run: the run's label, e.g. the model's folder.
        task: the task's name as logged, e.g. `arc_easy` or `calib_arc_easy`.
        path: the file they come from.
        predictions: N documents, in the file's order.
        normalised: the same on length-normalised log-likelihoods, by the normalisation's suffix: those of
            which the task logs the verdict (`acc_norm`, `acc_bytes`).
        doc_hash: (N,) the first 64 bits of each document's hash; two runs are paired by it.
        offset: (N,) the byte at which each document's line begins; empty where `path` holds no
            JSON lines of the harness.
        notes: what a reader must know of how they were read: lines left out, for instance.
        secrets: of the run's configuration; no text that is shown may hold one.
        format: of the logs, by name; "" where documents cannot be shown again.
        columns: (N,) texts of some of a table's other columns, by name.
        cluster: (N,) which documents belong together, as questions about one passage do, by numbers;
            empty where each stands alone.
    """

    run: str
    task: str
    path: Path
    predictions: Predictions
    normalised: Mapping[str, Predictions] = field(default_factory=dict)
    doc_hash: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    offset: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    notes: tuple[str, ...] = ()
    secrets: frozenset[str] = frozenset()
    format: str = ""
    columns: Mapping[str, NDArray[np.object_]] = field(default_factory=dict)
    cluster: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))

    def __len__(self) -> int:
        return len(self.predictions)


class GroupMean(NamedTuple):
    """How a live run made a group's row of a metric.

    arithmetic: which mean; tasks: over which tasks' rows, one of two subgroups standing there twice.
    """

    arithmetic: Arithmetic
    tasks: tuple[str, ...]


class GroupRows(NamedTuple):
    """How a live run made a group's rows.

    tasks: all of the group, as in `GroupMean`; means: by metric, `None` for rows that follow from no mean
    that is known; metrics that the run did not print are not among them.
    """

    tasks: tuple[str, ...] = ()
    means: Mapping[str, GroupMean | None] = {}


NO_ROWS = GroupRows()


@dataclass(frozen=True, eq=False)
class Run:
    """One model's run: its tasks, in the order found.

    Attributes:
        label: tells it from the other runs that were asked for.
        samples: by task name.
        groups: names of the tasks in each group, subgroups resolved; from the harness's results.
        rows: how each group's rows were made, likewise.
        results: the harness's results files of these tasks, newest first, without their secrets;
            empty without any.
    """

    label: str
    samples: Mapping[str, Samples]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    results: tuple[Mapping[str, Any], ...] = ()
    rows: Mapping[str, GroupRows] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Scope:
    """What one set of figures is about: a task, or a group's documents pooled.

    Attributes:
        run: the run's label.
        name: of the task or the group.
        samples: one task's, or those of all of the group's tasks.
        pooled: whether this is a group.
        rows: of a group, how the run made its rows.
    """

    run: str
    name: str
    samples: tuple[Samples, ...]
    pooled: bool = False
    rows: GroupRows = NO_ROWS

    def label(self, several_runs: bool) -> str:
        """A name for readers: `run · task`, or the task alone where there is one run."""
        if several_runs and self.run and self.name:
            return f"{self.run} · {self.name}"
        return self.name or self.run or "all documents"

    @functools.cached_property
    def predictions(self) -> Predictions:
        """All documents of the scope."""
        return Predictions.concatenate([s.predictions for s in self.samples])

    @functools.cached_property
    def normalised(self) -> dict[str, Predictions]:
        """All documents, by the suffix of each length normalisation that all of the tasks have."""
        return {
            suffix: Predictions.concatenate([s.normalised[suffix] for s in self.samples])
            for suffix in NORMALISATIONS
            if all(suffix in s.normalised for s in self.samples)
        }

    @functools.cached_property
    def clusters(self) -> NDArray[np.intp] | None:
        """(N,) the cluster of each document, those of different tasks apart; `None` where each stands alone."""
        if not any(len(s.cluster) for s in self.samples):
            return None
        parts = [s.cluster if len(s.cluster) else np.arange(len(s)) for s in self.samples]
        before = np.cumsum([0, *(part.max(initial=-1) + 1 for part in parts[:-1])])
        return np.concatenate([part + start for part, start in zip(parts, before, strict=True)])

    def by(self, suffix: str) -> Predictions | None:
        """All documents, plain or by a normalisation; `None` if one of the tasks does not have it."""
        return self.normalised.get(suffix) if suffix else self.predictions


def scopes(run: Run) -> Iterator[Scope]:
    """Each group followed by its tasks, then the tasks that are in none."""
    grouped: set[str] = set()
    for group, names in run.groups.items():
        members, rows = tuple(run.samples[n] for n in names), run.rows.get(group, NO_ROWS)
        yield Scope(run.label, group, members, pooled=True, rows=rows)
        for name in names:
            if name not in grouped:
                grouped.add(name)
                yield Scope(run.label, name, (run.samples[name],))
    for name, samples in run.samples.items():
        if name not in grouped:
            yield Scope(run.label, name, (samples,))
