"""Work spread over processes, or done here: the same code for both."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError, invalid

Submit = Callable[..., Callable[[], Any]]
"""`submit(function, *arguments)` gives a function that returns the result."""
WORKERS = "LM_EVAL_CALIBRATION_WORKERS"
"""The environment variable that says how many processes to use at most."""


LARGE_BYTES = 1 << 25
"""Logs of more than this in all are read by several processes."""


class KilledWorkerError(InvalidInputError):
    """A process of the pool was killed, most often because memory ran out."""


def processes() -> int:
    """How many processes to spread work over: one for each core, or fewer where `WORKERS` says so.

    Raises:
        InvalidInputError: `WORKERS` is no whole number from 1.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get(WORKERS)
    if not wanted:
        return cores
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 10) or int(wanted) < 1:
        raise invalid(WORKERS, "a whole number, at least 1", f"`{wanted}`")
    return min(int(wanted), cores)


@contextmanager
def workers(processes: int, worth: bool = True) -> Iterator[Submit]:
    """Run functions in other processes as soon as they are submitted, or here when asked for.

    Args:
        processes: how many; 1 means here.
        worth: whether there is work for more than the half a second that starting them takes;
            otherwise it is done here.

    Raises:
        KilledWorkerError: from the result of work whose process was killed.
    """
    if processes < 2 or not worth:
        yield partial
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _use_one_thread) as pool:
        try:
            yield partial(_submit, pool)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _submit(
    pool: ProcessPoolExecutor, function: Callable[..., Any], *arguments: Any
) -> Callable[[], Any]:
    """Submit work about its first argument, a file or a scope, which the error names."""
    first = arguments[0]
    about = str(first if isinstance(first, Path) else first.name or first.run)
    try:
        result = pool.submit(function, *arguments).result
    except BrokenProcessPool:
        raise _killed(about) from None

    def finished() -> Any:
        try:
            return result()
        except BrokenProcessPool:
            raise _killed(about) from None

    return finished


def _killed(about: str) -> KilledWorkerError:
    return KilledWorkerError(
        f"A worker process was killed before it was done with {about}, most often because memory ran out: set {WORKERS}=1 "
        "in the environment, so that all is done in one process, or free some memory."
    )


def _use_one_thread() -> None:
    """Keep each process to its core: several with threads of their own get in each other's way."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
