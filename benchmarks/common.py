"""What the benchmarks share: one thread, the machine's facts, markdown tables, small statistics."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "POLARS_MAX_THREADS",
    ),
    "1",
)
"""Environment of a process that computes on one thread; numpy reads it when it is imported."""


def use_one_thread() -> None:
    """Keep numpy, BLAS and polars to one thread. Call it before they are imported."""
    os.environ.update(ONE_THREAD)


def machine_facts(*packages: str) -> str:
    """One markdown list: versions of Python and `packages`, the processor, and the load.

    Packages are looked up in the installed metadata and not imported.
    """
    versions = [f"{package} {_version(package)}" for package in packages]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return "\n".join(
        [
            f"- Python {platform.python_version()}, {', '.join(versions)}",
            f"- {cpu_model()}, {os.cpu_count()} cores, {platform.platform()}",
            f"- load average over 1, 5 and 15 minutes: {load}",
        ]
    )


def cpu_model() -> str:
    """The processor's name, from /proc/cpuinfo where there is one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; the first column is aligned left, all others right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(header), rule, *map(list, rows)])


def verdict(figure: float, *, at_least: float | None = None, below: float | None = None) -> str:
    """The target beside a figure, e.g. "< 60: met"; empty without a target."""
    if at_least is not None:
        return f">= {at_least:g}: {'met' if figure >= at_least else 'MISSED'}"
    if below is not None:
        return f"< {below:g}: {'met' if figure < below else 'MISSED'}"
    return ""


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"
