"""One metric against another, a dot a model, and the front of the models that none beats in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.analysis.leaderboard import Leaderboard
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report import svg, theme, wording
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
HAS_STRIP = False
_LONGEST = 22  # characters of a name beside a dot
_CHARACTER, _LINE, _DOT = 5.2, 11.0, 5.0  # px: a letter's width, a line's height, a dot's radius
_BESIDE = ((1, 1), (-1, 1), (1, -1), (-1, -1), (1, 0), (-1, 0), (0, 1), (0, -1))
"""Where a name may stand, seen from its dot: first where no error bar runs."""


@dataclass(frozen=True)
class Front:
    """M models by two metrics.

    Attributes:
        x, y: names of the metrics.
        models: (M,) names.
        at, low, high: (2, M) figures and the ends of their 95 % intervals, x first.
        best: (M,) whether no other is as good in both and better in one.
    """

    x: str
    y: str
    models: tuple[str, ...]
    at: Floats
    low: Floats
    high: Floats
    best: NDArray[np.bool_]


def prepare(board: Leaderboard, x: str, y: str) -> Front:
    """The models that have a finite figure of both metrics."""
    both = [[s.figures[x], s.figures[y]] for s in board.standings]
    parts = np.array([[(f.value, f.low, f.high) for f in pair] for pair in both])  # (M, 2, 3)
    known = np.isfinite(parts[:, :, 0]).all(axis=1)
    at, low, high = np.moveaxis(parts[known], 2, 0).swapaxes(1, 2)
    models = [printable(s.model) for s, kept in zip(board.standings, known, strict=True) if kept]
    sign = np.array([[1.0 if bind(name).higher_is_better else -1.0] for name in (x, y)])
    return Front(x, y, tuple(models), at, low, high, unbeaten(sign * at))


def unbeaten(at: Floats) -> NDArray[np.bool_]:
    """Which of M points (2, M) no other is at least as good as in both, and better in one.

    >>> unbeaten(np.array([[1.0, 2.0, 0.5], [2.0, 1.0, 0.5]])).tolist()
    [True, True, False]
    """
    as_good = np.all(
        at[:, None] >= at[:, :, None], axis=0
    )  # (M, M): the second, seen from the first
    better = np.any(at[:, None] > at[:, :, None], axis=0)
    return np.asarray(~np.any(as_good & better, axis=1))


def caption(f: Front) -> str:
    """What a reader must know to read the figure."""
    best = [name for name, on in zip(f.models, f.best, strict=True) if on]
    some = ", ".join(best[:4]) + (f" and {len(best) - 4} more" if len(best) > 4 else "")
    return (
        f"Bars: 95 % intervals. Orange: the front of models that no other beats in both ({some})."
    )


def draw(ax: Axes, f: Front) -> None:
    """Dots with error bars in both directions, the front as a line, names where they fit."""
    theme.dress(ax)
    ax.grid(color=theme.RULE, linewidth=0.6)
    ax.margins(0.08)
    ax.set_xlabel(_titled(f.x))
    theme.name_above(ax, _titled(f.y))
    ax.hlines(f.at[1], f.low[0], f.high[0], color=theme.BAND, linewidth=1, alpha=0.7)
    ax.vlines(f.at[0], f.low[1], f.high[1], color=theme.BAND, linewidth=1, alpha=0.7)
    on = np.flatnonzero(f.best)
    on = on[np.argsort(f.at[0, on], kind="stable")]
    ax.plot(*f.at[:, on], color=theme.ORANGE, linewidth=1.4)
    for i, name in enumerate(f.models):
        colour = theme.ORANGE if f.best[i] else theme.BLUE
        (dot,) = ax.plot(*f.at[:, i], "o", color=colour, markersize=_DOT)
        dot.set_gid(f"{svg.TIP}{name}: {_told(f, 0, i)}, {_told(f, 1, i)}")
    for at in (ax.xaxis, ax.yaxis):
        at.set_major_locator(theme.matplotlib("ticker").MaxNLocator(5))
    _name(ax, f)


def _told(f: Front, axis: int, i: int) -> str:
    ends = (wording.number(float(end[axis, i])) for end in (f.low, f.high))
    return f"{(f.x, f.y)[axis]} {f.at[axis, i]:.3f} [{', '.join(ends)}]"


def _titled(name: str) -> str:
    arrow = {True: "higher is better", False: "lower is better", None: ""}
    return f"{name}, {arrow[bind(name).higher_is_better]}".rstrip(", ")


def _name(ax: Axes, f: Front) -> None:
    """Names beside dots, those on the front first, each where it covers no dot and no other name."""
    ax.set(xlim=ax.get_xlim(), ylim=ax.get_ylim())  # settled, so that dots stay where they are
    box = ax.get_window_extent()
    dots = ax.transData.transform(f.at.T)
    taken = [(x - _DOT, y - _DOT, x + _DOT, y + _DOT) for x, y in dots]
    shared = wording.common_start(f.models, "-_/. ")
    for i in sorted(range(len(dots)), key=lambda i: not f.best[i]):
        own = f.models[i].removeprefix(shared)
        text = own if len(own) <= _LONGEST else f"{own[: _LONGEST - 1]}…"
        for x, y, place in _places(dots[i], len(text) * _CHARACTER):
            inside = box.x0 < place[0] and place[2] < box.x1 + 8 and box.y0 < place[1]
            if inside and place[3] < box.y1 and not any(_meet(place, other) for other in taken):
                taken.append(place)
                ax.annotate(
                    text, (x, y), xycoords="figure pixels", fontsize=theme.SMALL, va="center",
                    color=theme.INK if f.best[i] else theme.MUTED,
                )  # fmt: skip
                break


Box = tuple[float, float, float, float]


def _places(dot: Floats, width: float) -> Iterator[tuple[float, float, Box]]:
    """Where a name of a width may begin, and what it would cover there."""
    for across, up in _BESIDE:
        left = dot[0] + {1: 1.6 * _DOT, 0: -width / 2, -1: -1.6 * _DOT - width}[across]
        middle = dot[1] + up * (_LINE if across == 0 else 0.8 * _LINE)
        half = _LINE / 2
        yield left, middle, (left, middle - half, left + width, middle + half)


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
