"""`lm-calib`, with all its commands in the order of its help."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import Any, NoReturn, TextIO

import typer

from lm_eval_calibration.cli.commands import (
    checkpoints,
    fit,
    fit_networks,
    fit_unlabelled,
    leaderboards,
    offline,
    planning,
    posteriors,
    publishing,
    sentences,
    trust,
)
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.encoding import tolerant
from lm_eval_calibration.cli.lacking import lacking
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.redact import clean, redact, secrets_in
from lm_eval_calibration.texts import printable

__all__ = [
    "app",
    "checkpoints",
    "fit",
    "fit_networks",
    "fit_unlabelled",
    "leaderboards",
    "main",
    "offline",
    "planning",
    "posteriors",
    "publishing",
    "sentences",
    "trust",
]


STOPPED = 130
"""The exit status of a command that was interrupted."""


def main() -> None:
    """Run `lm-calib`; our own errors, and the system's, end in one line and exit status 2.

    No error tells a secret of the command line or of the environment, ours or not. What the
    terminal's encoding cannot hold is printed in ASCII, or as an escape.
    """
    tolerant()
    logging.lastResort = _Warnings(logging.WARNING)
    try:
        status = app(standalone_mode=False)
    except CalibrationError as error:
        _stop(str(error))
    except ModuleNotFoundError as error:
        if why := lacking(error):
            _stop(why)
        _unexpected(error)
    except OSError as error:  # (of files that are read: unreadable, gone, on a disk that fails)
        where = f"`{error.filename}`: " if error.filename else ""
        _stop(f"{where}{error.strerror or error}.")
    except MemoryError as error:
        _stop(
            f"Out of memory ({error or 'no more is to be had'}). Name fewer runs, tasks or metrics at a time."
        )
    except SystemExit as ended:
        if ended.code == STOPPED:
            typer.echo(
                "lm-calib: stopped. What a fit has computed is kept: the same command goes on.",
                err=True,
            )
        raise
    except typer.Abort:
        typer.echo("Aborted!", err=True)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - shown as it would have been, and the status says so
        if hasattr(error, "exit_code"):
            _show_usage(error)
        _unexpected(error)
    sys.exit(status if isinstance(status, int) else 0)


class _Warnings(logging.StreamHandler[TextIO]):
    """Shows warnings where nobody else does, ours with our name before them."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self.setLevel(level)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"lm-calib: {text}" if "lm_eval_calibration" in record.name else text


def _unexpected(error: Exception) -> NoReturn:
    text = "".join(traceback.format_exception(error))
    typer.echo(redact(text, _known()), err=True, nl=False)
    sys.exit(1)


def _stop(why: str) -> NoReturn:
    from lm_eval_calibration.logs.packed import as_given

    why = as_given(why)
    typer.secho(f"lm-calib: {printable(redact(why, _known()))}", fg="red", err=True)
    sys.exit(2)


def _known() -> frozenset[str]:
    values = [part.partition("=")[2] for part in sys.argv[1:] if part.startswith("--")]
    return secrets_in(sys.argv[1:], values, dict(os.environ))


def _show_usage(error: Any) -> None:
    """What typer says of arguments that cannot be."""
    clean(error, _known())
    try:
        from typer.rich_utils import rich_format_error
    except ImportError:
        error.show()
    else:
        rich_format_error(error)
    sys.exit(error.exit_code)
