"""Work in processes of their own, forked from this one so that nothing is imported again."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import lm_eval.models  # noqa: F401  before any model is registered, or the harness registers none

Work = Callable[[Path], object]


class Child:
    """A process that does some work with a folder.

    Args:
        work: called with `output`.
        output: the folder.
        log: where an error's traceback is kept.
    """

    def __init__(self, work: Work, output: Path, log: Path) -> None:
        self._log = log
        self._pid = os.fork()
        if self._pid == 0:  # pragma: no cover
            self._run(work, output)

    def _run(self, work: Work, output: Path) -> None:
        status = 1
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
            work(output)
            status = 0
        except Exception:  # noqa: BLE001
            self._log.write_text(traceback.format_exc())
        finally:
            os._exit(status)

    def kill(self) -> None:
        """End it at once."""
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def wait(self) -> None:
        """Let it end, which must be well."""
        _, status = os.waitpid(self._pid, 0)
        if status:
            raise AssertionError(self._log.read_text())


def digests(folder: Path, pattern: str) -> dict[str, str]:
    """Of the files that match; at least one must."""
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob(pattern))
    }
    assert found
    return found
