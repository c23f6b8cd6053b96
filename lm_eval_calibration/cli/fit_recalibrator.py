"""`lm-calib fit temperature` and its like: fit, compare with held-out folds, save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from lm_eval_calibration.calibrators import Calibrator, inverse_softmax, resoftmax, temperature
from lm_eval_calibration.cli.arguments.tables import NO_TABLE
from lm_eval_calibration.cli.arguments.tables import Table as TableOptions
from lm_eval_calibration.cli.fit_words import helped
from lm_eval_calibration.cli.formats import interval, number, of_tasks, print_tables
from lm_eval_calibration.cli.progress import counting
from lm_eval_calibration.cli.source import load, say
from lm_eval_calibration.features import FeatureStore
from lm_eval_calibration.fitting.beliefs import Beliefs, of_runs
from lm_eval_calibration.fitting.recalibration import Recalibrated, recalibrate
from lm_eval_calibration.metrics.catalogue import ARROWS, SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import applicable, evaluate
from lm_eval_calibration.metrics.table import bind

if TYPE_CHECKING:
    from lm_eval_calibration.fitting.sources import ModelArguments
    from lm_eval_calibration.fitting.task_documents import Selection

ENDS = {
    module.METHOD.name: (module.LOWEST, module.HIGHEST)
    for module in (temperature, inverse_softmax, resoftmax)
}
"""Between which a method's temperature is sought."""


def from_samples(
    samples: Sequence[str],
    table: TableOptions | None,
    skip_bad: bool = False,
    filter_name: str | None = None,
) -> Beliefs:
    """The beliefs of a logged run, or of a table."""
    alone = table in (None, NO_TABLE)
    read = load(
        list(samples), skip_bad, table, one_each=alone, filter_name=filter_name, to_fit=True
    )
    beliefs = of_runs(read)
    say(beliefs.notes)
    return beliefs


def from_model(model: ModelArguments, selection: Selection, store: Path) -> Beliefs:
    """The beliefs of a model about a split's documents, kept in parts in the folder `store`."""
    from lm_eval_calibration.fitting.sources import of_model

    selection.read()
    beliefs = of_model(
        model.create(),
        selection,
        lambda total: counting("documents", total),
        FeatureStore(store),
        model.model_args,
    )
    say(beliefs.notes)
    return beliefs


def run(
    method: str, beliefs: Beliefs, output: Path, folds: int, per_task: bool, overwrite: bool
) -> None:
    """Fit, save, and print what it does to the same and to held-out documents."""
    found = recalibrate(method, beliefs, folds=folds, per_task=per_task)
    found.calibrator.save_pretrained(output, overwrite=overwrite)
    count = sum(len(p) for p in beliefs.predictions.values())
    whose = of_tasks(beliefs.predictions)
    fitted = (
        f"{method}, fitted on {count:,} documents{whose}{parameters_in_words(found.calibrator)}"
    )
    print_tables([fitted, f"held out in {folds} folds", _table(found)])
    if told := helped(method, found.before, found.held_out):
        alone = len(beliefs.predictions) > 1 and not per_task
        say([told + (" --per-task fits each task by itself." if alone else "")])
    typer.echo(output.resolve())


def parameters_in_words(calibrator: Calibrator) -> str:
    """A temperature, and a floor where there is one."""
    if calibrator.method not in ENDS:
        return ""
    values = {task: float(p["temperature"]) for task, p in calibrator.parameters.items()}
    floors = {float(p["floor"]) for p in calibrator.parameters.values() if "floor" in p}
    floor = f", floor {', '.join(f'{f:g}' for f in sorted(floors))}" if floors else ""
    ends = ENDS[calibrator.method]
    if len(values) == 1:
        return f": T = {_temperature(next(iter(values.values())), *ends)}{floor}"
    listed = ", ".join(f"{_temperature(t, *ends)} ({task})" for task, t in values.items())
    return f": T = {listed}{floor}"


def _temperature(value: float, lowest: float, highest: float) -> str:
    """A temperature for readers; at the end of the range beliefs tell nothing apart."""
    if value > 0.99 * highest:
        return f"{highest:g}, the highest: these beliefs do not tell right from wrong"
    if value < 1.01 * lowest:
        return f"{lowest:g}, the lowest: every answer whose document names a right option is right"
    return f"{value:.3f}"


def _table(found: Recalibrated) -> Table:
    names = applicable(
        found.held_out, SUMMARY_METRICS
    )  # (which scores have only when they are mapped)
    before, same, held = (
        evaluate(p, applicable(p, names), replicates=1000 if p is found.held_out else 0)
        for p in (found.before, found.in_sample, found.held_out)
    )
    table = Table(box=None, pad_edge=False)
    heads = ("metric", "", "before", "in sample", "held out", "95 % interval", "if calibrated")
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 2 else "right")
    for name in names:
        row: Any = held[name]
        null = interval(row.null.low, row.null.high) if row.null else "-"
        table.add_row(
            name,
            ARROWS[bind(name).higher_is_better],
            *(number(v[name].value) if name in v else "-" for v in (before, same, held)),
            interval(row.low, row.high),
            null,
        )
    return table
