"""`lm-calib checkpoints`: a training run, checkpoint by checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import fitting as arguments
from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite


@app.command()
def checkpoints(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a training.")],
    tasks: arguments.Tasks = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Page of the trend.", show_default=False),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(help="Folder of the results; by default DIR/calibration.", show_default=False),
    ] = None,
    base: Annotated[
        bool, typer.Option("--base", help="Of adapters, evaluate the model without them first.")
    ] = False,
    metrics: options.Metrics = None,
    model: arguments.Model = "hf-fast",
    model_args: arguments.ModelArgs = "",
    device: arguments.Device = None,
    batch_size: arguments.BatchSize = None,
    limit: arguments.Limit = None,
    num_fewshot: arguments.Shots = None,
    apply_chat_template: arguments.Chat = False,
    include_path: arguments.IncludePath = None,
    overwrite: Overwrite = False,
) -> None:
    """Evaluate the checkpoints of a training that have not been, and show the trend of all.

    Whatever was evaluated stays: call it again while the training goes on, or after a kill.
    """
    from lm_eval_calibration.checkpoints import EvaluationSettings, checkpoints_in
    from lm_eval_calibration.checkpoints.evaluating import Runner
    from lm_eval_calibration.checkpoints.settings import RUNS
    from lm_eval_calibration.cli.checkpoints import evaluated, show
    from lm_eval_calibration.cli.outputs import check_page
    from lm_eval_calibration.cli.source import say
    from lm_eval_calibration.errors import InvalidInputError
    from lm_eval_calibration.metrics.table import bind

    names, shown = arguments.comma_separated(tasks), options.names(metrics)
    if not names:
        raise InvalidInputError("Give --tasks: labelled tasks, e.g. --tasks calib_arc_easy.")
    for name in shown or ():
        bind(name)  # (refuses what there is not, before anything is evaluated)
    if output is not None:
        check_page(output, overwrite=overwrite)
    found, partial = checkpoints_in(folder, base)
    say([f"left out, not whole: {name}" for name in partial])
    pairs = dict(part.partition("=")[::2] for part in arguments.comma_separated(model_args))
    given = {"--device": device, "--batch_size": batch_size, "--include_path": include_path}
    more = [word for name, value in given.items() if value is not None for word in (name, value)]
    settings = EvaluationSettings(names, limit, num_fewshot, apply_chat_template, model, pairs)
    done = evaluated(found, runs or folder / RUNS, Runner(settings, more), include_path)
    show(done, shown, output, overwrite, f"Checkpoints of {folder.resolve().name}")
