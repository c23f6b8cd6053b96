"""Work spread over processes, or done here: the same code for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import Any

Submit = Callable[..., Callable[[], Any]]
"""`submit(function, *arguments)` gives a function that returns the result."""


@contextmanager
def workers(processes: int, worth: bool = True) -> Iterator[Submit]:
    """Run functions in other processes as soon as they are submitted, or here when asked for.

    Args:
        processes: how many; 1 means here.
        worth: whether there is work for more than the half a second that starting them takes;
            otherwise it is done here.
    """
    if processes < 2 or not worth:
        yield partial
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _use_one_thread) as pool:
        try:
            yield lambda function, *arguments: pool.submit(function, *arguments).result
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _use_one_thread() -> None:
    """Keep each process to its core: several with threads of their own get in each other's way."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
