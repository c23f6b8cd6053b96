"""`lm-calib report` and `lm-calib diagram`: pages and pictures of runs that were logged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.cli.score import score_runs
from lm_eval_calibration.samples import Run, scopes

SLOW_SCOPES = 8
"""Drawing so many takes more than a few seconds."""


def write(
    runs: Sequence[Run],
    metrics: Sequence[str] | None,
    output: Path,
    figures: Path | None,
    examples: int,
    replicates: int,
) -> Path:
    """Score the runs and write the page."""
    from lm_eval_calibration.report.page import write_report

    scored = score_runs(runs, metrics, replicates)
    with working("drawing", len(scored), len(scored) > SLOW_SCOPES) as progress:
        return write_report(
            runs, scored, output, figures=figures, examples=examples, progress=progress
        )


def diagrams(runs: Sequence[Run], output: Path) -> Path:
    """One reliability diagram for each task, in one image."""
    from lm_eval_calibration.report.diagram import save_diagrams

    tasks = [scope for run in runs for scope in scopes(run) if not scope.pooled]
    several = len(runs) > 1
    return save_diagrams({s.label(several): s.predictions for s in tasks}, output)
