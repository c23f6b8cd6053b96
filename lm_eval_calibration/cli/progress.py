"""Progress bars on stderr, for work that takes more than a few seconds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from lm_eval_calibration.texts import printable

PACKED = r"://|\.(?:zip|tar|tgz|tzst|gz|zst|bz2)$"
"""Of an argument that names an archive, a compressed file, or an address."""
QUICK_BYTES = 100_000_000
"""Files of this size in all are read in about two seconds."""


@contextmanager
def reading(total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar over `total` bytes, advanced by the function it gives; none for small files."""
    with _bar("reading", total, total > QUICK_BYTES, DownloadColumn()) as advance:
        yield advance


@contextmanager
def unpacking(arguments: Sequence[str]) -> Iterator[Callable[[int], None] | None]:
    """A count of bytes, where arguments name what is packed or elsewhere."""
    packed = any(re.search(PACKED, argument, re.IGNORECASE) for argument in arguments)
    with _bar("unpacking", None, packed, DownloadColumn()) as advance:
        yield advance


@contextmanager
def working(what: str, total: int, slow: bool) -> Iterator[Callable[[Any], None] | None]:
    """A bar over `total` steps, if the work is `slow`."""
    with _bar(what, total, slow, MofNCompleteColumn()) as advance:
        yield (lambda _: advance(1)) if advance else None


@contextmanager
def _bar(
    what: str, total: int | None, wanted: bool, counter: Any
) -> Iterator[Callable[[int], None] | None]:
    if not wanted or os.environ.get("RANK", "0") != "0":  # (one bar for all of `accelerate launch`)
        yield None
        return
    title = TextColumn("{task.description}", markup=False)
    columns = (title, BarColumn(), counter, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(printable(what), total=total)
        yield lambda step: bar.advance(task, step)


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar over `total` things, advanced by how many the function is told."""
    with _bar(what, total, True, MofNCompleteColumn()) as advance:
        yield advance
