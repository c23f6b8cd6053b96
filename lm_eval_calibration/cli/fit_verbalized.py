"""`lm-calib fit verbalized`: stated probabilities, mapped by every method, and one of them kept."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from lm_eval_calibration.calibrators import inverse_softmax
from lm_eval_calibration.calibrators.contract import labelled
from lm_eval_calibration.cli.fit_recalibrator import parameters_in_words
from lm_eval_calibration.cli.fit_words import rivalled
from lm_eval_calibration.cli.formats import interval, number, of_tasks, print_tables
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.recalibration import recalibrate
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.predictions import Predictions

STATED_METHODS = ("inverse_softmax", "resoftmax", "vector", "platt", "isotonic")
STATED_METRICS = ("acc", "nll", "brier", "ece")


def check_method(method: str) -> None:
    """Make sure that stated probabilities can be mapped so.

    Raises:
        InvalidInputError: an unknown method.
    """
    if method not in STATED_METHODS:
        raise invalid("--method", ", ".join(STATED_METHODS), f"`{method}`")


def run(
    beliefs: Beliefs, output: Path, method: str, folds: int, per_task: bool, overwrite: bool
) -> None:
    """Fit every method, print what each does to held-out folds, and save one.

    Raises:
        InvalidInputError: too few documents.
    """
    found = {m: recalibrate(m, beliefs, folds=folds, per_task=per_task) for m in STATED_METHODS}
    kept = found[method].calibrator
    kept.save_pretrained(output, overwrite=overwrite)
    before = found[method].before
    table = Table(box=None, pad_edge=False)
    for name in (f"held out, {folds} folds", *STATED_METRICS, "95 % interval of ece"):
        table.add_column(name, justify="left" if name.startswith("held") else "right", no_wrap=True)
    rows = {"as stated": before, **{m: r.held_out for m, r in found.items()}}
    for name, predictions in rows.items():
        table.add_row(name, *_cells(predictions))
    whose = of_tasks(beliefs.predictions)
    title = f"{len(before):,} documents{whose}; kept: {method}{parameters_in_words(kept)}"
    print_tables([title, table, "", floors_in_words(before)])
    if told := rivalled(method, {m: r.held_out for m, r in found.items()}, before):
        say([told])
    typer.echo(output.resolve())


def floors_in_words(predictions: Predictions) -> str:
    """How the temperature depends on the floor."""
    beliefs = labelled(predictions)
    parts = []
    for floor in inverse_softmax.FLOORS:
        fitted = inverse_softmax.fit_at(beliefs, floor)
        loss = inverse_softmax.loss(beliefs, fitted)
        parts.append(f"{floor:g}: T {float(fitted['temperature']):.3f}, nll {loss:.4f}")
    return f"Inverse softmax by floor, on the same documents: {'; '.join(parts)}."


def _cells(predictions: Predictions) -> list[str]:
    found = evaluate(predictions, STATED_METRICS, replicates=1000)
    ece = found["ece"]
    return [*(number(found[name].value) for name in STATED_METRICS), interval(ece.low, ece.high)]
