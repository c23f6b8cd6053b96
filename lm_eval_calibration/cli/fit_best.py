"""`lm-calib fit best`: every calibrator on the same folds, and the simplest good one is kept."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.table import Table

from lm_eval_calibration.cli.fit_recalibrator import parameters_in_words
from lm_eval_calibration.cli.formats import number, of_tasks, print_tables
from lm_eval_calibration.cli.score import OUTSIDE
from lm_eval_calibration.cli.score_overview import is_outside
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.best import FEW_DOCUMENTS, NONE, SMALL, Best, TriedMethod, best_of
from lm_eval_calibration.metrics.evaluate import Estimate, applicable, evaluate

SHOWN = ("acc", "brier", "ece", "auroc")


def run(beliefs: Beliefs, output: Path, folds: int, per_task: bool, overwrite: bool) -> None:
    """Fit, print the table, say what is kept and why, and save it; nothing where nothing helps."""
    found = best_of(
        beliefs, folds=folds, per_task=per_task, progress=lambda name: say([f"fitting {name}"])
    )
    count = sum(len(p) for p in beliefs.predictions.values())
    title = f"{count:,} documents{of_tasks(beliefs.predictions)}, held out in {folds} folds"
    notes = [f"{name} does not apply: {why}" for name, why in found.left_out.items()]
    if found.few:
        notes.append(
            f"Of fewer than {FEW_DOCUMENTS} documents for each fit only {', '.join(SMALL[1:])} may be kept."
        )
    print_tables([title, _table(found), "", in_words(found), f"* ece {OUTSIDE}", *notes])
    if found.kept.calibrator is not None:
        found.kept.calibrator.save_pretrained(output, overwrite=overwrite)
        typer.echo(output.resolve())


def in_words(found: Best) -> str:
    """What is kept, and why."""
    kept, best = found.kept, found.best
    if kept.name == NONE:
        return (
            "Nothing is kept: no calibrator is better than the beliefs as they are by more than one standard "
            f"error of the paired difference (the best, {best.name}: {_apart(found, kept)})."
            if best.name != NONE
            else "Nothing is kept: every calibrator makes the beliefs worse on documents it was not fitted on."
        )
    parameters = parameters_in_words(kept.calibrator) if kept.calibrator is not None else ""
    why = (
        "it has the least loss, and nothing simpler is within one standard error of it"
        if kept is best
        else f"the simplest within one standard error of the best, {best.name} ({_apart(found, kept)})"
    )
    return f"Kept: {kept.name}{parameters}; {why}."


def _apart(found: Best, one: TriedMethod) -> str:
    mean, error = found.apart(one)
    return f"nll {mean:+.4f} ± {error:.4f}"


def _table(found: Best) -> Table:
    table = Table(box=None, pad_edge=False)
    names = applicable(found.best.held_out, SHOWN)
    heads = ("method", "nll", "less the best's", *names)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 else "right")
    for one in found.tried:
        mean, error = found.apart(one)
        apart = "best" if one is found.best else f"{mean:+.4f} ± {error:.4f}"
        estimates = evaluate(one.held_out, names, replicates=1000)
        mark = " (kept)" if one is found.kept else ""
        figures = [_figure(estimates[name]) for name in names]
        table.add_row(one.name + mark, number(one.nll), apart, *figures)
    return table


def _figure(e: Estimate) -> str:
    """A metric's value, an ECE with a mark where it is more, or less, than chance."""
    return number(e.value) + (("* " if is_outside(e) else "  ") if e.name == "ece" else "")
