"""`lm-calib fit daca`, `fit prior --method pride|contextual`: fit without labels, say what was found, save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from rich.table import Table

from lm_eval_calibration.calibrators import fit
from lm_eval_calibration.cli.formats import interval, number, print_tables
from lm_eval_calibration.cli.source import load
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.sources import ModelArguments
from lm_eval_calibration.fitting.task_documents import Selection
from lm_eval_calibration.fitting.unlabelled import Unlabelled, contextual, daca, pride
from lm_eval_calibration.logs import Run
from lm_eval_calibration.metrics.catalogue import ARROWS, SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import starts_of

PRIOR_METHODS = ("batch", "pride", "contextual")


def align(
    tuned: str, reference: str, output: Path, skip_bad: bool, filter_name: str | None,
    per_task: bool, overwrite: bool,
) -> None:  # fmt: skip
    """`fit daca`: the temperature at which a tuned model is as sure as its sibling."""
    one, other = (_one(path, skip_bad, filter_name) for path in (tuned, reference))
    _finish("daca", daca(one, other, per_task=per_task), output, overwrite)


def from_orders(
    samples: Sequence[str], output: Path, skip_bad: bool, filter_name: str | None, per_task: bool,
    overwrite: bool,
) -> None:  # fmt: skip
    """`fit prior --method pride`: of a run that showed options in several orders."""
    if len(samples) != 1:
        raise invalid("--samples", "one run of --model option_tokens", f"{len(samples)}")
    run = _one(samples[0], skip_bad, filter_name)
    _finish("prior, by orders", pride(run, per_task=per_task), output, overwrite)


def from_nothing(
    model: ModelArguments, selection: Selection, output: Path, per_task: bool, overwrite: bool
) -> None:
    """`fit prior --method contextual`: of prompts without content."""
    selection.read()
    found = contextual(model.create(), selection, per_task=per_task)
    _finish("prior, of nothing", found, output, overwrite)


def _one(path: str, skip_bad: bool, filter_name: str | None) -> Run:
    runs = load([path], skip_bad, None, one_each=True, filter_name=filter_name, to_fit=True)
    if len(runs) != 1:
        raise InvalidInputError(f"`{path}` holds {len(runs)} runs; name one.")
    return runs[0]


def _finish(title: str, found: Unlabelled, output: Path, overwrite: bool) -> None:
    found.calibrator.save_pretrained(output, overwrite=overwrite)
    items: list[Table | str] = [f"{title}, without labels", *found.notes]
    if found.beliefs is not None and _labelled(found.beliefs):
        items += ["", *_compared(found, found.beliefs)]
    else:
        items.append("`lm-calib score RUN --calibrator FOLDER` says what it does to a run.")
    print_tables(items)
    typer.echo(output.resolve())


def _labelled(beliefs: Beliefs) -> bool:
    golds = [p.golds for p in beliefs.predictions.values()]
    return all(
        g is not None and np.logical_or.reduceat(g.values, starts_of(g.count)[:-1]).any()
        for g in golds
    )


def _compared(found: Unlabelled, beliefs: Beliefs) -> list[Table | str]:
    """Beside the best temperature that labels would have given."""
    parts = beliefs.predictions
    before = Predictions.concatenate(list(parts.values()))
    after = Predictions.concatenate([found.calibrator.transform(p, t) for t, p in parts.items()])
    oracle = fit("temperature", before)
    temperature = float(oracle.parameters[""]["temperature"])
    table = Table(box=None, pad_edge=False)
    heads = ("metric", "", "before", "after", "95 % interval", f"T of labels ({temperature:.3f})")
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i < 2 else "right")
    was, now, best = (
        evaluate(p, SUMMARY_METRICS, replicates=1000 if p is after else 0)
        for p in (before, after, oracle.transform(before))
    )
    for name in SUMMARY_METRICS:
        row = now[name]
        table.add_row(
            name, ARROWS[bind(name).higher_is_better], number(was[name].value), number(row.value),
            interval(row.low, row.high), number(best[name].value),
        )  # fmt: skip
    return [table, "(Labels were read for this table alone.)"]
