"""`lm-calib report` and `lm-calib diagram`: pages and pictures of runs that were logged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lm_eval_calibration.cli.outputs import check_page
from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.cli.score import score_runs
from lm_eval_calibration.cli.score_by import find
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import check_folder
from lm_eval_calibration.logs import Run, scopes

SLOW_SCOPES = 8
"""Drawing so many takes more than a few seconds."""


def check(output: Path, figures: Path | None, overwrite: bool) -> None:
    """Make sure that page and figures can be written.

    Raises:
        OutputError: something else stands there, or the place cannot be written to.
    """
    from lm_eval_calibration.report.figures import FIGURES

    check_page(output, overwrite=overwrite)
    if figures is not None:
        if figures.resolve() == output.resolve():
            raise invalid("--figures", "another place than --output", f"`{figures}` for both")
        check_folder(figures, FIGURES, overwrite=overwrite)


def _refuse_scores(runs: Sequence[Run]) -> None:
    """Raises `InvalidInputError` if beliefs are scores: there is nothing to draw against accuracy."""
    for run in runs:
        for samples in run.samples.values():
            if samples.predictions.are_scores:
                raise InvalidInputError(
                    f"{samples.path} holds scores, which are no probabilities, and a reliability diagram is of "
                    "these. Give --calibrator, a map that `lm-calib fit platt --samples` made of labelled scores."
                )


def write(
    runs: Sequence[Run],
    metrics: Sequence[str] | None,
    output: Path,
    figures: Path | None,
    examples: int,
    replicates: int,
    thresholds_from: Sequence[Run] | None,
    overwrite: bool,
    by: str | None = None,
) -> None:
    """Score the runs and write the page."""
    _refuse_scores(runs)
    if thresholds_from is not None and len(thresholds_from) != 1:
        raise invalid("--thresholds", "one run", len(thresholds_from))
    from lm_eval_calibration.report.page import write_report

    subgroups = find(runs, by, None, replicates, together=False) if by is not None else ()
    scored = score_runs(runs, metrics, replicates)
    with working("drawing", len(scored), len(scored) > SLOW_SCOPES) as progress:
        write_report(
            runs,
            scored,
            output,
            figures=figures,
            examples=examples,
            thresholds_from=thresholds_from[0] if thresholds_from else None,
            subgroups=subgroups,
            progress=progress,
            overwrite=overwrite,
        )


def diagrams(runs: Sequence[Run], output: Path, overwrite: bool) -> None:
    """One reliability diagram for each group and task, in one image."""
    from lm_eval_calibration.report.diagram import save_diagrams

    _refuse_scores(runs)
    several = len(runs) > 1
    drawn = {
        s.label(several) + (f" ({len(s.samples)} tasks pooled)" if s.pooled else ""): s.predictions
        for run in runs
        for s in scopes(run)
    }
    save_diagrams(drawn, output, overwrite=overwrite)
