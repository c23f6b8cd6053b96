"""`lm-calib fractal ...`: scores of sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments import sentences as arguments
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite
from lm_eval_calibration.errors import invalid
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
    encoder: arguments.OtherEncoder = "",
    store: arguments.Store = None,
    device: arguments.Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Score every sentence of a logged run's responses."""
    from lm_eval_calibration.cli.fractal import score
    from lm_eval_calibration.models.shared.scoring_sentences import ScorerWithEncoder

    check_file(output, JSON_LINES, overwrite=overwrite)
    scoring = ScorerWithEncoder(scorer, encoder, store or "", device)
    score(runs, scoring, output, label, filter_name, allow_seen, skip_bad, overwrite)


@fractal.command("export")
def fractal_export(
    runs: options.Runs,
    shape: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="rewards|pairs|steps",
            help="A reward for each sentence; the best and the worst candidate of each document; or "
            "which sentences are right.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of JSON lines.")],
    scorer: Annotated[
        str, typer.Option(help="Folder of `lm-calib fit fractal`.", show_default=False)
    ] = "",
    by: Annotated[
        str,
        typer.Option(
            metavar="scores|labels",
            help="What candidates are compared by, in pairs. `labels` needs --label and no scorer.",
        ),
    ] = "scores",
    margin: Annotated[
        float, typer.Option(min=0, help="Pairs of which the two differ by no more are left out.")
    ] = 0.0,
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Score of a sentence that is right, in steps.")
    ] = 0.5,
    label: Annotated[
        str | None,
        typer.Option(help="Metric that says whether a response is right.", show_default=False),
    ] = None,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    encoder: arguments.OtherEncoder = "",
    store: arguments.Store = None,
    device: arguments.Device = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a logged run's responses, by their sentences' scores, into what trainers read (TRL)."""
    from functools import partial

    from lm_eval_calibration.cli.fractal import export
    from lm_eval_calibration.exports import training_sets
    from lm_eval_calibration.models.shared.scoring_sentences import ScorerWithEncoder

    shapes: dict[str, training_sets.Shape] = {
        "rewards": training_sets.rewards,
        "pairs": partial(training_sets.pairs, by=by, margin=margin),
        "steps": partial(training_sets.steps, threshold=threshold),
    }
    if shape not in shapes:
        raise invalid("--as", ", ".join(shapes), f"`{shape}`")
    unscored = shape == "pairs" and by == training_sets.LABELS
    if unscored and label is None:
        raise invalid("--label", "the metric that says whether a response is right", "nothing")
    check_file(output, JSON_LINES, overwrite=overwrite)
    scoring = None if unscored else ScorerWithEncoder(scorer, encoder, store or "", device)
    export(runs, scoring, output, shapes[shape], label, filter_name, skip_bad, overwrite)
