"""Colours, sizes and the drawing library: what all figures share."""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lm_eval_calibration.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers, and in grey. Every hex code stands
# for one role and for no other, so that a page can put its own colours in their place.
BLUE, ORANGE = "#0072b2", "#d55e00"
INK, MUTED, RULE, BAND, PAPER = "#1b1f24", "#57606a", "#d4d9df", "#8b95a1", "#fefefe"

LIGHT = {
    "blue": BLUE,
    "orange": ORANGE,
    "ink": INK,
    "muted": MUTED,
    "rule": RULE,
    "band": BAND,
    "paper": PAPER,
}
DARK = {
    "blue": "#56b4e9",
    "orange": "#f0a04b",
    "ink": "#e8ebef",
    "muted": "#a9b2bd",
    "rule": "#3a414a",
    "band": "#8f9aa7",
    "paper": "#15181c",
}
"""Of each role, its colour on light and on dark paper."""

FONT = 10  # px at a figure's own width, which is that of a telephone's screen
SMALL = 9.5
WIDTH, HEIGHT = 380, 450  # px of a figure with its strip
LEFT, TOP, SIDE, STRIP_GAP, STRIP = 44, 40, 322, 8, 46  # px; the main panel is a square

_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.labelcolor": INK,
    "axes.labelsize": FONT,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": FONT,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "lm-eval-calibration",
    "text.color": INK,
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 0,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 0,
}


def matplotlib(module: str) -> Any:
    """A module of matplotlib; the caller's choice of backend is left alone.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError:
        raise MissingExtraError(
            "Diagrams need matplotlib: pip install matplotlib, or 'lm-eval-calibration[plots]'."
        ) from None


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Draw in the house's style, whatever the caller's settings are, and leave those alone."""
    with matplotlib("style").context(["default", _STYLE]), warnings.catch_warnings():
        # A task's name in a script that matplotlib's font lacks: readers' own fonts have it.
        warnings.filterwarnings("ignore", r"Glyph .* missing from", UserWarning)
        yield


def canvas(width: float = WIDTH, height: float = HEIGHT) -> Figure:
    """An empty figure of so many pixels at 72 to the inch."""
    return matplotlib("figure").Figure(figsize=(width / 72, height / 72), dpi=72)


def place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes at pixels from the figure's upper left corner."""
    w, h = figure.get_size_inches() * 72
    return figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))


def strip(ax: Axes) -> Axes:
    """A strip below the main panel, on the same horizontal axis, whose labels it takes over."""
    below = ax.inset_axes((0, -(STRIP_GAP + STRIP) / SIDE, 1, STRIP / SIDE), sharex=ax)
    ax.tick_params(labelbottom=False)
    ax.set_xlabel("")
    below.spines[["top", "right"]].set_visible(False)
    dress(below)
    below.yaxis.set_major_locator(matplotlib("ticker").NullLocator())
    return below


def dress(ax: Axes) -> None:
    """Sizes and colours of ticks and spines, also of axes that a caller made."""
    ax.tick_params(labelsize=SMALL, length=0, color=MUTED, labelcolor=INK)
    for spine in ax.spines.values():
        spine.set(color=MUTED, linewidth=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_facecolor("none")


def unit_axes(ax: Axes, x: str, y: str) -> None:
    """Both axes from 0 to 1, the vertical one's name above it."""
    dress(ax)
    ticks = [0, 0.2, 0.4, 0.6, 0.8, 1]
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks, xlabel=x)
    ax.grid(color=RULE, linewidth=0.6)
    name_above(ax, y)


def name_above(ax: Axes, name: str) -> None:
    """Write what the vertical axis shows above its upper end, where it is read first."""
    ax.annotate(
        name, (0, 1), (-30, 7), xycoords="axes fraction", textcoords="offset points",
        fontsize=SMALL, color=MUTED,
    )  # fmt: skip


def legend_above(ax: Axes, columns: int) -> None:
    """The legend above the panel, so many marks in a row."""
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.02, 1.0), ncols=columns, fontsize=SMALL, frameon=False,
        borderaxespad=0.1, borderpad=0.25, columnspacing=1.0, handlelength=1.3, handletextpad=0.5,
        labelcolor=INK,
    )  # fmt: skip
