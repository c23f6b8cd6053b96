"""`lm-calib`: the command line. Heavy imports happen inside the commands."""

from lm_eval_calibration.cli.app import main

__all__ = ["main"]
