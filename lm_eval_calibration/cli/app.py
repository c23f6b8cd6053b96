"""`lm-calib`, with all its commands in the order of its help."""

from __future__ import annotations

import sys
from io import TextIOWrapper

import typer

from lm_eval_calibration.cli.commands import fit, fit_networks, offline, sentences, trust
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.errors import CalibrationError

__all__ = ["app", "fit", "fit_networks", "main", "offline", "sentences", "trust"]


def main() -> None:
    """Run `lm-calib`; our own errors end in one line on stderr and exit status 2.

    What the terminal's encoding cannot hold is printed as an escape, not an end of the command.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except CalibrationError as error:
        typer.secho(f"lm-calib: {error}", fg="red", err=True)
        sys.exit(2)
