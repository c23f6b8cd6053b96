"""`lm-calib`, with all its commands in the order of its help."""

from __future__ import annotations

import sys

import typer

from lm_eval_calibration.cli.commands import fit, fit_networks, offline, sentences, trust
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.errors import CalibrationError

__all__ = ["app", "fit", "fit_networks", "main", "offline", "sentences", "trust"]


def main() -> None:
    """Run `lm-calib`; our own errors end in one line on stderr and exit status 2."""
    try:
        app()
    except CalibrationError as error:
        typer.secho(f"lm-calib: {error}", fg="red", err=True)
        sys.exit(2)
