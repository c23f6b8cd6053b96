"""`lm-calib checkpoints`: the evaluations that are missing, and the trend of all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from lm_eval_calibration.analysis.comparison import Comparison
from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.checkpoints import Checkpoint
from lm_eval_calibration.checkpoints.evaluating import Evaluated, Runner, evaluate
from lm_eval_calibration.cli.compare import compare_all
from lm_eval_calibration.cli.formats import number, print_tables
from lm_eval_calibration.cli.score import score_runs
from lm_eval_calibration.cli.source import load, say
from lm_eval_calibration.harness.running import checked_tasks
from lm_eval_calibration.logs import Run
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS
from lm_eval_calibration.metrics.paired import ALPHA
from lm_eval_calibration.metrics.resampling import REPLICATES


def evaluated(
    checkpoints: Sequence[Checkpoint], runs: Path, runner: Runner, include_path: str | None
) -> list[Evaluated]:
    """All of them, saying on stderr which are at work.

    Raises:
        InvalidInputError: a task that there is not, or that the model cannot answer.
    """
    settings = runner.settings
    missing = [each for each in checkpoints if not settings.done(runs, each)]
    followed = {settings.followed(runs, each) for each in missing} - {""}
    say([
        f"the callback has evaluated some of them under --model_args {text}: with these they are there."
        for text in sorted(followed)
    ])  # fmt: skip
    if missing:
        checked_tasks(settings.tasks, settings.model, include_path)
    found = list(evaluate(checkpoints, runs, runner, lambda text: say([text])))
    new = [each for each in found if each.seconds]
    minutes = sum(each.seconds for each in new) / 60
    say(
        [
            f"{len(new)} evaluated in {minutes:.1f} minutes, {len(found) - len(new)} were there: {runs}"
        ]
    )
    return found


def show(
    found: Sequence[Evaluated],
    metrics: Sequence[str] | None,
    output: Path | None,
    overwrite: bool,
    title: str,
) -> None:
    """Print each task's figures with what changed, and write the page."""
    names = list(metrics or SUMMARY_METRICS)
    runs = load([f"{each.checkpoint.name}={each.folder}" for each in found], False, one_each=True)
    if len(runs) > 1:
        matched = match(runs)
        say([f"left out: {text}." for text in matched.left_out])
        runs = matched.runs
    series: dict[str, list[Any]] = {}
    documents: dict[str, int] = {}
    for scored in score_runs(runs, names, REPLICATES):
        series.setdefault(scored.scope.name, []).append(scored.estimates)
        documents[scored.scope.name] = len(scored.scope.predictions)
    before = [compare_all(pair, names, REPLICATES) for pair in itertools.pairwise(runs)]
    print_tables(_tables(runs, series, names, before))
    if output is not None:
        from lm_eval_calibration.report.checkpoints import write_checkpoints

        first = [compare_all([runs[0], run], names, REPLICATES) for run in runs[1:]]
        write_checkpoints(
            runs, series, documents, before, first, output, title=title, overwrite=overwrite
        )
        typer.echo(output.resolve())


def _tables(
    runs: Sequence[Run],
    series: dict[str, list[Any]],
    names: Sequence[str],
    before: Sequence[Sequence[Comparison]],
) -> list[Table | str]:
    items: list[Table | str] = []
    for scope, (name, estimates) in enumerate(series.items()):
        shown = [n for n in names if any(n in each for each in estimates)]
        table = Table(box=None, pad_edge=False)
        table.add_column("checkpoint")
        for metric in shown:
            table.add_column(metric, justify="right")
        for i, run in enumerate(runs):
            cells = [_cell(estimates[i], n, before[i - 1][scope] if i else None) for n in shown]
            table.add_row(run.label, *cells)
        items += [name or "all documents", table, ""]
    legend = "± half the 95 % interval; * differs from the checkpoint before it (paired, Holm over the metrics, p < .05)."
    return [*items, legend]


def _cell(estimates: Any, name: str, compared: Comparison | None) -> str:
    if name not in estimates:
        return "-"
    found = estimates[name]
    adjusted = compared.adjusted.get(name, 1.0) if compared is not None else 1.0
    mark = "*" if adjusted < ALPHA else " "
    return f"{number(found.value)} ± {number((found.high - found.low) / 2)}{mark}"
