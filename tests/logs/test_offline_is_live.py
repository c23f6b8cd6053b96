"""What is read back of a run is what the run printed: every figure to the last digit, or withheld with a note.

Tasks are made by hypothesis, run by the harness's own evaluation and logged by its own tracker.
`LIVE_EXAMPLES=2000 pytest tests/logs/test_offline_is_live.py` runs so many of each kind.
"""

from __future__ import annotations

import functools
import logging
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, note, settings
from lm_eval.tasks import TaskManager
from made_runs import REPLICATES, MadeRun, MadeTask, made_runs, run_and_log

from lm_eval_calibration.analysis.scores import Scored, score_all
from lm_eval_calibration.logs import Run, Samples, read_runs, scopes
from lm_eval_calibration.metrics.table import bind, is_metric
from lm_eval_calibration.normalisation import parted

EXAMPLES = os.environ.get("LIVE_EXAMPLES")
many = settings(
    max_examples=int(EXAMPLES or 8),
    derandomize=EXAMPLES is None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.generate] if EXAMPLES else [Phase.generate, Phase.shrink],
)
ALL_OPTIONS = ("nll", "brier")


@pytest.fixture(scope="module")
def manager() -> Iterator[TaskManager]:
    """A task manager that knows no tasks; the harness says nothing meanwhile."""
    import lm_eval_calibration  # noqa: F401

    logging.disable(logging.ERROR)
    yield TaskManager(include_defaults=False)
    logging.disable(logging.NOTSET)


def same(offline: float, live: Any) -> bool:
    """Equal, NaN and the harness's "N/A" among themselves."""
    if live == "N/A" or (isinstance(live, float) and math.isnan(live)):
        return math.isnan(offline)
    return bool(offline == live)


def ours(live: Mapping[str, Any]) -> list[str]:
    """The metrics of a row that are read back: ours, and the harness's `acc` by each normalisation."""
    names = [key.partition(",")[0] for key in live if key.endswith(",none")]
    return [name for name in names if known(name)]


@functools.cache
def known(name: str) -> bool:
    row = name.endswith(("_stderr", "_macro"))
    return not row and (is_metric(name) or parted(name)[0] == "acc")


def check_task(scored: Scored, samples: Samples, live: Mapping[str, Any], keyless: int) -> set[str]:
    """Hold a task's figures against what was printed; gives what is withheld.

    Where two options stand in the context, nothing but the verdict is logged and no results file tells, the
    other option is taken to be right, with a note. So it is, unless the answer key names none.
    """
    withheld = set()
    taken = keyless and any("is taken to be right" in text for text in samples.notes)
    for name in ours(live):
        if taken and bind(name).metric.family.needs_options:
            continue
        if name not in scored.estimates:
            withheld.add(name)
            continue
        estimate = scored.estimates[name]
        assert same(estimate.value, live[f"{name},none"]), (samples.task, name)
        assert same(estimate.stderr, live[f"{name}_stderr,none"]), (samples.task, name, "stderr")
    assert not withheld or samples.notes, (samples.task, withheld)
    return withheld


def check_group(scored: Scored, live: Mapping[str, Any]) -> None:
    """Hold a group's means against the rows that were printed; tasks in which one is withheld have none."""
    whole = {name for name in ours(live) if name in scored.means}
    for name in whole:
        means = scored.means[name]
        assert same(means.row.value, live[f"{name},none"]), (scored.scope.name, name)
        assert same(means.row.stderr, live[f"{name}_stderr,none"]), (scored.scope.name, name)
        if f"{name}_macro,none" in live:
            assert same(means.macro.value, live[f"{name}_macro,none"]), (scored.scope.name, name)
            assert same(means.macro.stderr, live[f"{name}_macro_stderr,none"]), name


def check_notes(samples: Samples, task: MadeTask, keyless: int) -> None:
    """Said is what the live run warns of, and nothing else of this kind; not where it cannot be known."""
    if samples.predictions.options is None:
        return
    said = [text for text in samples.notes if "names none of the options" in text]
    assert len(said) == bool(keyless), samples.notes
    assert not keyless or f"of {keyless:,} document(s)" in said[0]
    alike = all(len(set(row["scores"])) == 1 for row in task.rows)
    assert any("the same log-likelihood" in text for text in samples.notes) == alike


def may_be_withheld(task: MadeTask, metric: str, twin: bool) -> bool:
    """What even results files do not tell.

    Options that a function puts into contexts, among other text; and whether what a function gives is an
    option's number or its text, where no twin logs what follows from it, or it is the same for two options.
    """
    if parted(metric)[1] and task.in_context:
        return callable(task.config["doc_to_choice"])
    alike = any(len(set(row["scores"])) < len(row["scores"]) for row in task.rows)
    return callable(task.config["doc_to_target"]) and (alike or not twin)


def read(folder: Path, live: Mapping[str, Any]) -> tuple[Run, dict[str, Scored]]:
    """The run in a folder, and the figures of all metrics that it printed."""
    (run,), left_out = read_runs([folder])
    assert left_out == []
    names = list(dict.fromkeys(name for row in live.values() for name in ours(row)))
    return run, {
        s.scope.name: s for s in score_all(list(scopes(run)), names, replicates=REPLICATES)
    }


@given(made_runs())
@many
def test_every_figure_is_the_live_run_s(manager: TaskManager, made: MadeRun) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live, keyless = run_and_log(made, Path(folder), manager)
        run, scored = read(Path(folder), live)
        for task in made.tasks:
            twin = live[f"calib_{task.name}"]
            for name in (task.name, f"calib_{task.name}"):
                samples = run.samples[name]
                note(f"{name}: {samples.notes}")
                withheld = check_task(scored[name], samples, twin, keyless[f"calib_{task.name}"])
                assert all(may_be_withheld(task, metric, name != task.name) for metric in withheld)
                check_notes(samples, task, keyless[f"calib_{task.name}"])
        for name in run.groups:
            check_group(scored[name], live[name])
            lost = set(ours(live[name])) - scored[name].means.keys()
            assert all(parted(metric)[1] or not name.startswith("calib_") for metric in lost), lost


@given(made_runs())
@many
def test_without_a_results_file_figures_are_the_same_or_withheld(
    manager: TaskManager, made: MadeRun
) -> None:
    assume(
        all(task.config["metric_list"][0]["metric"] == "acc" for task in made.tasks)
    )  # (else refused)
    with tempfile.TemporaryDirectory() as folder:
        live, keyless = run_and_log(made, Path(folder), manager)
        for path in Path(folder).rglob("results_*.json"):
            path.unlink()
        run, scored = read(Path(folder), live)
        assert not run.groups
        for task in made.tasks:
            twin = live[f"calib_{task.name}"]
            for name in (task.name, f"calib_{task.name}"):
                samples = run.samples[name]
                note(f"{name}: {samples.notes}")
                check_task(scored[name], samples, twin, keyless[f"calib_{task.name}"])
