"""`lm-calib` and `lm_eval` in this process, as they are typed."""

from __future__ import annotations

import inspect
import logging
import os
import sys

from typer.testing import CliRunner, Result

from lm_eval_calibration.cli.app import app

# Before click 8.2 stderr went into stdout unless it was told not to.
MIXES = "mix_stderr" in inspect.signature(CliRunner).parameters
RUNNER = CliRunner(**({"mix_stderr": False} if MIXES else {}))  # type: ignore[arg-type]


def lm_eval(*arguments: object) -> None:
    """`lm_eval`, in this process; it may exit. What it raises of ours is raised, and not said in a line."""
    from lm_eval_calibration.harness.start import start
    from lm_eval_calibration.harness.terminal import TRACEBACK

    told = os.environ.get(TRACEBACK)
    os.environ.setdefault(TRACEBACK, "1")
    argv, loggers = sys.argv, [logging.getLogger(name) for name in ("", "lm_eval")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    try:
        start([str(a) for a in arguments])
    finally:
        sys.argv = argv
        if told is None:
            del os.environ[TRACEBACK]
        for logger, (level, handlers) in zip(loggers, before, strict=True):
            logger.setLevel(level)
            logger.handlers[:] = handlers


def run(*arguments: object) -> Result:
    """Run a command that succeeds; what it raises is raised."""
    result = RUNNER.invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result
