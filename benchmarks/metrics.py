"""Time every metric beside the packages that compute the same, on one thread.

    python benchmarks/metrics.py --sizes 10000 100000 1000000 --repeats 7

Repeats alternate (ours, peer, ours, peer, ...), so a change of the machine's load meets both. A
time is the median over repeats in milliseconds, a ratio the median of the repeats' own ratios.
Needs the packages of `pip install -e .[test]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from timeit import Timer
from typing import TYPE_CHECKING, Any

from common import machine_facts, markdown_table, use_one_thread, verdict

if TYPE_CHECKING:
    from peers import Contest, Score

MIN_SECONDS = 0.01
"""A repeat calls a function as often as needed to last this long."""

TARGET_SIZE = 1_000_000
HEADER = ("metric", "N", "ours, ms", "peer", "peer, ms", "peer / ours", "target", "abs. difference")


@dataclass(frozen=True)
class Result:
    """Median seconds of both sides, median ratio, and the distance between their values."""

    ours: float
    theirs: float | None = None
    ratio: float | None = None
    difference: float | None = None


def race(contest: Contest, repeats: int) -> Result:
    """Run both sides of `contest` by turns, after one call of each that is not timed."""
    value = float(contest.ours())
    our_calls = _calls(contest.ours)
    if contest.theirs is None:
        return Result(median(_seconds(contest.ours, our_calls) for _ in range(repeats)))
    difference = abs(value - float(contest.theirs()))
    their_calls = _calls(contest.theirs)
    pairs = [
        (_seconds(contest.ours, our_calls), _seconds(contest.theirs, their_calls))
        for _ in range(repeats)
    ]
    ours, theirs = zip(*pairs, strict=True)
    return Result(median(ours), median(theirs), median(t / o for o, t in pairs), difference)


def table_row(contest: Contest, size: int, result: Result) -> list[str]:
    """One line of the table: a contest at one size."""
    row = [contest.metric, f"{size:,}", _number(result.ours * 1e3), contest.peer]
    if result.theirs is None or result.ratio is None:
        return [*row, "-", "-", "", "-"]
    target = verdict(result.ratio, at_least=contest.target) if size == TARGET_SIZE else ""
    figures = [_number(result.theirs * 1e3), f"{result.ratio:.1f}"]
    return [*row, *figures, target, f"{result.difference:.1e}"]


def _calls(function: Score) -> int:
    """How many calls last `MIN_SECONDS`."""
    return max(1, round(MIN_SECONDS / _seconds(function, 1)))


def _seconds(function: Score, calls: int) -> float:
    return Timer(function).timeit(calls) / calls


def _number(milliseconds: float) -> str:
    return f"{milliseconds:.3g}" if milliseconds < 100 else f"{milliseconds:.0f}"


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=7)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts, and a table of every metric, size and peer."""
    options = _arguments(argv)
    use_one_thread()
    import torch  # now that the thread count is set
    from peers import contests, sample

    torch.set_num_threads(1)
    packages = ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics")
    print(machine_facts(*packages, "uncertainty-calibration", "model-diagnostics"))
    rows = [
        table_row(contest, size, race(contest, options.repeats))
        for size in options.sizes
        for contest in contests(sample(size))
    ]
    print(f"\n{markdown_table(HEADER, rows)}")


if __name__ == "__main__":
    main()
