"""Changes to what the harness prints: patches, as those of `harness.patches`, of its command alone.

Where a harness has no such place, there is nothing to change.
"""

from __future__ import annotations

import functools
import os
import re
import sys
from types import ModuleType
from typing import Any

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.harness.naming import unknown_tasks
from lm_eval_calibration.harness.plugin import Plugin

TRACEBACK = "LM_EVAL_CALIBRATION_TRACEBACK"
"""Set to 1, errors of ours show where they were raised."""
GOES_ON = "With --use_cache PATH the same command goes on where it was; without, it begins anew."
_MARK = "_lm_eval_calibration"


def patch_execute(cli_module: ModuleType, plugin: Plugin) -> None:
    """End a command with our error's one line, where it ends with an error of ours.

    Needless once the harness tells its users' mistakes from its own.
    """
    command = getattr(cli_module, "HarnessCLI", None)
    original = getattr(command, "execute", None)
    if command is None or original is None or getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def execute(self: Any, args: Any) -> Any:
        try:
            return original(self, args)
        except KeyboardInterrupt:
            sys.stdout.flush()
            sys.stderr.write(f"\nlm_eval: stopped. {GOES_ON}\n")
            raise SystemExit(130) from None
        except CalibrationError as error:
            if os.environ.get(TRACEBACK, "0") != "0":
                raise
            sys.stdout.flush()
            sys.stderr.write(f"lm_eval: {error}\n")
            raise SystemExit(1) from None

    setattr(execute, _MARK, True)
    command.execute = execute


def patch_process_tasks(config_module: ModuleType, plugin: Plugin) -> None:
    """Say which names were meant, where one of `--tasks` means nothing.

    Needless once the harness does.
    """
    config = getattr(config_module, "EvaluatorConfig", None)
    original = getattr(config, "process_tasks", None)
    if config is None or original is None or getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def process_tasks(self: Any, *args: Any, **kwargs: Any) -> Any:
        asked = self.tasks
        try:
            return original(self, *args, **kwargs)
        except ValueError as error:
            if "not found" not in str(error):
                raise
            raise unknown_tasks(asked, self.include_path) from error

    setattr(process_tasks, _MARK, True)
    config.process_tasks = process_tasks


def patch_make_table(utils_module: ModuleType, plugin: Plugin) -> None:
    """Show of twins what one reads; the results keep everything.

    Needless once a task may say which of its metrics are for the table.
    """
    original = getattr(utils_module, "make_table", None)
    if original is None or getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def make_table(result_dict: Any, column: str = "results", *args: Any, **kwargs: Any) -> Any:
        results, notes = plugin.shown(result_dict, column)
        table = re.sub(r" nan *\|", _dash, original(results, column, *args, **kwargs), flags=re.I)
        if column != "results" or not notes:
            return table
        return "\n".join([table.rstrip("\n"), "", *notes, ""])

    setattr(make_table, _MARK, True)
    utils_module.make_table = make_table  # type: ignore[attr-defined]


def _dash(cell: re.Match[str]) -> str:
    """What stands for an undefined value, as wide."""
    return f"{'-':>{len(cell[0]) - 1}}|"
