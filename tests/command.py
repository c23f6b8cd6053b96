"""`lm-calib` in this process, as it is typed."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from lm_eval_calibration.cli.app import app
from lm_eval_calibration.errors import CalibrationError


def run(*arguments: object) -> Result:
    """Run a command that succeeds; our own errors are raised, as `main` catches them."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(result.exception, CalibrationError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result
