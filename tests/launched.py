"""What `accelerate launch` runs in the tests: commands one after the other, listed in a file.

Each is `["lm_eval", ...]` or `["lm-calib", ...]`, in this process, so that the libraries are read once.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from lm_eval.tasks import TaskManager
from toy_encoder import Toy

from lm_eval_calibration.cli.app import app
from lm_eval_calibration.fractal import encoders
from lm_eval_calibration.harness.start import start


def main() -> None:
    """Run them all, without the harness's 14,000 tasks; a command that fails ends it."""
    Path(sys.argv[1]).with_name(f"process-{os.environ.get('RANK', 0)}").touch()
    index = TaskManager.__init__

    def quick(self: TaskManager, *arguments: Any, **options: Any) -> None:
        index(self, *arguments, **{**options, "include_defaults": False})

    TaskManager.__init__ = quick  # type: ignore[method-assign]
    encoders._load = lambda name, device: Toy()  # type: ignore[assignment,return-value]
    for program, *arguments in json.loads(Path(sys.argv[1]).read_text()):
        try:
            start(arguments) if program == "lm_eval" else app(arguments, standalone_mode=False)
        except SystemExit as done:
            if done.code:
                raise


main()
