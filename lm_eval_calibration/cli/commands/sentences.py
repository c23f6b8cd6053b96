"""`lm-calib fractal ...`: scores of sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments import sentences as arguments
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite
from lm_eval_calibration.files import JSON_LINES, check_file

fractal = typer.Typer(
    help="Scores of sentences, by a scorer of `lm-calib fit fractal`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(fractal, name="fractal")


@fractal.command("score")
def fractal_score(
    runs: options.Runs,
    scorer: Annotated[str, typer.Option(help="Folder of `lm-calib fit fractal`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of JSON lines.")] = Path(
        "sentences.jsonl"
    ),
    label: Annotated[
        str | None,
        typer.Option(
            help="Metric that says whether a response is right, to judge confidences by.",
            show_default=False,
        ),
    ] = None,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Score documents that were fitted on, too.")
    ] = False,
    encoder: Annotated[
        str, typer.Option(help="In place of the one the scorer names.", show_default=False)
    ] = "",
    store: arguments.Store = None,
    device: Annotated[str | None, typer.Option(help="E.g. cpu.", show_default=False)] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score every sentence of a logged run's responses."""
    from lm_eval_calibration.cli.fractal import score
    from lm_eval_calibration.models.shared.scoring_sentences import ScorerWithEncoder

    check_file(output, JSON_LINES, overwrite=overwrite)
    scoring = ScorerWithEncoder(scorer, encoder, store or "", device)
    score(runs, scoring, output, label, filter_name, allow_seen, skip_bad, overwrite)
