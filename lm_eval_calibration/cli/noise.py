"""`lm-calib noise`: how much of a difference is arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.table import Table

from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.analysis.noise import (
    MovedMetric,
    Noise,
    kept_word,
    noise_of,
    promise,
)
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown_table,
    number,
    terminal_table,
)
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run

HEADER = ("task", "documents", "options", "same bits", "median, nats", "95 %", "largest", "flipped")
MOVED = ("task", "metric", "first", "second", "moved", "half interval", "share")
LEGEND = (
    "same bits: options whose log-likelihoods are equal. flipped: documents of which another option is predicted. half "
    "interval: of the first run, over documents; share: the move, as a share of that half."
)
NEAR = "Runs of one model on the same documents are compared, made at other batch sizes, dtypes or machines."


class FoundNoise(NamedTuple):
    """The noise of each task, whether a promise of equal bits was kept, and what only one of the runs has."""

    noises: list[Noise]
    word: str
    left_out: list[str]

    @property
    def words(self) -> list[str]:
        """What stands beneath the tables."""
        return [*(f"left out: {text}." for text in self.left_out), *filter(None, [self.word])]


def find(runs: Sequence[Run], metrics: Sequence[str] | None, replicates: int) -> FoundNoise:
    """The noise of each task, and whether a promise was kept.

    Raises:
        InvalidInputError: not two runs, or they are of other documents.
    """
    if len(runs) != 2:
        raise InvalidInputError(f"`noise` takes two runs of one model, got {len(runs)}. {NEAR}")
    matched = match(runs, allow_partial=True)
    first, second = matched.runs
    found = noise_of(first, second, metrics, replicates=replicates)
    fingerprint = promise(first, second)
    word = kept_word(found, fingerprint) if fingerprint else ""
    return FoundNoise(found, word, matched.left_out)


def render(found: FoundNoise, how: OutputFormat) -> str | None:
    """What was found in `how`, as text; `None` for the terminal, where it is printed."""
    return in_format(
        how,
        told=lambda: {
            "reproducible": found.word,
            "left_out": found.left_out,
            "noise": [_told(noise) for noise in found.noises],
        },
        rows=lambda: [row for noise in found.noises for row in _flat(noise)],
        markdown=lambda: "\n\n".join(_markdown(found)),
        items=lambda: _items(found),
    )


def _items(found: FoundNoise) -> list[Table | str]:
    moved = terminal_table(MOVED, [row for n in found.noises for row in _moved(n)], texts=(0, 1))
    table = terminal_table(HEADER, [_cells(n) for n in found.noises], texts=(0,))
    return [table, "", moved, "", LEGEND, *found.words]


def _markdown(found: FoundNoise) -> Iterator[str]:
    yield markdown_table(HEADER, [_cells(n) for n in found.noises], texts=1)
    yield markdown_table(MOVED, [row for n in found.noises for row in _moved(n)], texts=2)
    yield from [LEGEND, *found.words]


def _cells(noise: Noise) -> list[str]:
    gaps = [f"{gap:.2g}" for gap in (noise.typical, noise.usual, noise.largest)]
    counts = [f"{n:,}" for n in (noise.documents, noise.options, noise.equal)]
    return [noise.task, *counts, *gaps, f"{noise.flipped:,}"]


def _moved(noise: Noise) -> list[list[str]]:
    return [
        [
            noise.task,
            m.name,
            number(m.first),
            number(m.second),
            f"{m.second - m.first:+.4f}",
            number(m.half),
            "-" if not m.half > 0 else f"{abs(m.second - m.first) / m.half:.0%}",
        ]
        for m in noise.metrics
    ]


def _flat(noise: Noise) -> Iterator[Mapping[str, Any]]:
    about = {name: value for name, value in vars(noise).items() if name != "metrics"}
    for moved in noise.metrics or (MovedMetric("", *[float("nan")] * 3),):
        yield {
            **about,
            "metric": moved.name,
            **{k: v for k, v in moved._asdict().items() if k != "name"},
        }


def _told(noise: Noise) -> dict[str, Any]:
    return {**vars(noise), "metrics": {m.name: m._asdict() for m in noise.metrics}}
