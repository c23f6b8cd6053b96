"""`lm-calib`, with all its commands in the order of its help."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import NoReturn

import typer

from lm_eval_calibration.cli.commands import fit, fit_networks, offline, sentences, trust
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.errors import CalibrationError

__all__ = ["app", "fit", "fit_networks", "main", "offline", "sentences", "trust"]


def main() -> None:
    """Run `lm-calib`; our own errors, and the system's, end in one line and exit status 2.

    What the terminal's encoding cannot hold is printed as an escape, not an end of the command.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except CalibrationError as error:
        _stop(str(error))
    except OSError as error:  # (of files that are read: unreadable, gone, on a disk that fails)
        where = f"`{error.filename}`: " if error.filename else ""
        _stop(f"{where}{error.strerror or error}.")


def _stop(why: str) -> NoReturn:
    typer.secho(f"lm-calib: {why}", fg="red", err=True)
    sys.exit(2)
