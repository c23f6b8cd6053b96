"""`lm-calib swag ...`: a posterior for other engines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite

swag = typer.Typer(
    help="Posteriors of `lm-calib fit swag`, for other engines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(swag, name="swag")


@swag.callback()
def _swag() -> None:
    """A group, though of one command."""


@swag.command("export")
def swag_export(
    folder: Annotated[Path, typer.Argument(help="Folder of `lm-calib fit swag`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the adapters.")],
    draws: Annotated[int, typer.Option(min=0, help="Of each member; 0 for its mean alone.")] = 15,
    method: Annotated[
        str,
        typer.Option(
            help="`map`, `ensemble`, `swa`, `swag` or `multiswag`; by default `swag`, of several "
            "members `multiswag`.",
            show_default=False,
        ),
    ] = "",
    scale: Annotated[
        float | None,
        typer.Option(min=0, help="Of the covariance; by default as fitted.", show_default=False),
    ] = None,
    member: Annotated[int, typer.Option(min=0, help="Which one, where the method takes one.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Write draws as PEFT adapters, which vLLM and others load (`--model adapters`)."""
    from lm_eval_calibration.cli.swag import export
    from lm_eval_calibration.swag import load
    from lm_eval_calibration.swag.mixture import Mixture

    mixture = Mixture(load(folder), method, draws, scale=scale, member=member, seed=seed)
    export(mixture, output, overwrite)
