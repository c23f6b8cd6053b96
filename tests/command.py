"""`lm-calib` in this process, as it is typed."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from lm_eval_calibration.cli.app import app


def run(*arguments: object) -> Result:
    """Run a command that succeeds; what it raises is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result
