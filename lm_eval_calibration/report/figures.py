"""The figures of one scope, as files and as parts of a page."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import (
    PDF,
    PNG,
    SVG,
    FileFormat,
    check_file,
    claim_folder,
    write_text,
    write_whole,
)
from lm_eval_calibration.files.marks import NAME
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import (
    heatmap,
    histogram,
    reliability,
    risk_coverage,
    theme,
)
from lm_eval_calibration.report.svg import show, svg_text
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS: Mapping[str, Any] = {
    "reliability": reliability,
    "histogram": histogram,
    "risk_coverage": risk_coverage,
}
"""Each has `NAME`, `HAS_STRIP`, `prepare`, `caption` and `draw`; one more figure is one line."""

IMAGE_FORMATS = ("svg", "png")
IMAGES: Mapping[str, FileFormat] = {".png": PNG, ".svg": SVG, ".pdf": PDF}
"""By a file's suffix."""
FIGURES = "collection of figures"
"""The kind of a folder of them."""
TITLE = 60  # px above a figure in a file, for its title and caption
_DPI = 180


@dataclass(frozen=True)
class DrawnFigure:
    """A figure in a page.

    Attributes:
        name: what kind it is, for readers.
        title: what it is about.
        caption: its numbers in words.
        svg: the element.
    """

    name: str
    title: str
    caption: str
    svg: str


def panel(kind: Any, top: float = 0.0) -> tuple[Figure, Axes]:
    """An empty figure with the axes of one kind; all kinds share one silhouette."""
    below = 0 if kind.HAS_STRIP else theme.STRIP_GAP + theme.STRIP
    figure = theme.canvas(theme.WIDTH, theme.HEIGHT + top)
    return figure, theme.place(figure, theme.LEFT, theme.TOP + top, theme.SIDE, theme.SIDE + below)


class Artist:
    """Draws the figures of a report into its page and, if wanted, into a folder.

    Args:
        folder: for one file per figure and format, or `None`.
        formats: suffixes without the dot.
        overwrite: whether files in the folder that are no figures of ours may be replaced.

    Raises:
        InvalidInputError: a format that figures cannot have.
        OutputError: the folder holds something else, or cannot be written to.
    """

    def __init__(
        self,
        folder: Path | None,
        formats: Sequence[str] = IMAGE_FORMATS,
        *,
        overwrite: bool = False,
    ) -> None:
        for suffix in formats:
            if suffix not in IMAGE_FORMATS:
                raise invalid("formats", f"among {', '.join(IMAGE_FORMATS)}", repr(suffix))
        self.folder, self.formats, self._overwrite = folder, formats, overwrite
        self._stems: set[str] = set()
        self._drawn = 0
        if folder is not None:
            claim_folder(folder, FIGURES, overwrite=overwrite)

    def scope(
        self,
        title: str,
        predictions: Predictions,
        estimates: Mapping[str, Estimate],
        kinds: Iterable[str] = KINDS,
    ) -> list[DrawnFigure]:
        """Figures of one task or group, of all kinds or of some."""
        drawn = []
        for name in kinds:
            kind = KINDS[name]
            prepared = kind.prepare(predictions)
            text = kind.caption(prepared, estimates)

            def draw(top: float, kind: Any = kind, prepared: Any = prepared) -> Figure:
                figure, ax = panel(kind, top)
                kind.draw(ax, prepared)
                return figure

            drawn.append(
                self.figure(f"{title} {name}", DrawnFigure(kind.NAME, title, text, ""), draw)
            )
        return drawn

    def heat_map(
        self, title: str, names: Sequence[str], tasks: Sequence[Predictions]
    ) -> DrawnFigure:
        """One heat map of several tasks."""
        prepared = heatmap.prepare(names, tasks)

        def draw(top: float) -> Figure:
            figure, ax = heatmap.canvas(prepared, top)
            heatmap.draw(ax, prepared)
            return figure

        text = heatmap.caption(prepared)
        return self.figure(f"{title} heatmap", DrawnFigure(heatmap.NAME, title, text, ""), draw)

    def figure(self, stem: str, drawn: DrawnFigure, draw: Callable[[float], Figure]) -> DrawnFigure:
        """What `draw` draws, in the page and, if wanted, in a file named after `stem`.

        Args:
            stem: of the file's name.
            drawn: all but the element.
            draw: given how many pixels to leave above, for title and caption.
        """
        self._drawn += 1
        label = f"{drawn.name}, {drawn.title}. {drawn.caption}"
        with theme.style():
            if self.folder is not None:
                self._save(draw(TITLE), self.folder / self._unique(stem), drawn, label)
            element = svg_text(draw(0), label, key=f"f{self._drawn}", themed=True)
        return DrawnFigure(drawn.name, drawn.title, drawn.caption, element)

    def _save(self, figure: Figure, path: Path, drawn: DrawnFigure, label: str) -> None:
        head(figure, drawn.title, drawn.caption)
        for suffix in self.formats:
            save(figure, path.with_name(f"{path.name}.{suffix}"), label, overwrite=self._overwrite)

    def _unique(self, title: str) -> str:
        """A file name without surprises, of which there is no other in this report."""
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", title).strip("-.")[:150] or "figure"
        name, number = stem, 2
        while name.lower() in self._stems:
            name, number = f"{stem}-{number}", number + 1
        self._stems.add(name.lower())
        return name


def head(figure: Figure, title: str, caption: str) -> None:
    """Title and caption in a figure's upper left corner."""
    width, height = figure.get_size_inches() * 72
    lines = textwrap.wrap(caption, int(width / 5))[:3]
    figure.text(
        8 / width, 1 - 8 / height, textwrap.shorten(printable(title), 60, placeholder="…"), fontsize=11,
        fontweight="bold", va="top",
    )  # fmt: skip
    figure.text(
        8 / width, 1 - 25 / height, "\n".join(lines), fontsize=8.5, color=theme.MUTED, va="top",
        linespacing=1.25,
    )  # fmt: skip


def check_image(path: str | Path, *, overwrite: bool = False) -> FileFormat:
    """The format of an image file, which can be written.

    Raises:
        InvalidInputError: no format that figures can have.
        OutputError: something else stands there, or the place cannot be written to.
    """
    found = IMAGES.get(Path(path).suffix.lower() or ".png")
    if found is None:
        raise InvalidInputError(
            f"`{path}` must end in {', '.join(IMAGES)}: figures have these formats."
        )
    check_file(path, found, overwrite=overwrite)
    return found


def save(figure: Figure, path: Path, label: str, *, overwrite: bool = False) -> None:
    """Write one figure on white paper, in the format of the path's suffix; no dates in it.

    Raises:
        InvalidInputError: no format that figures can have.
        OutputError: something else stands there, or the place cannot be written to.
    """
    kind = check_image(path, overwrite=overwrite)
    figure.set_facecolor("white")
    if kind is SVG:
        write_text(path, svg_text(figure, label) + "\n", SVG, overwrite=overwrite)
        return
    name = "pdf" if kind is PDF else "png"
    about = {"pdf": {"CreationDate": None, "Creator": NAME}, "png": {"Software": NAME}}[name]

    def write(partial: Path) -> None:
        show(figure).savefig(partial, format=name, dpi=_DPI, facecolor="white", metadata=about)

    write_whole(path, write, kind, overwrite=overwrite)
