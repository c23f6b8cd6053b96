"""A range of bytes of a samples file, as arrays: the unit of work of parallel reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.logs.formats.harness.line import doc_hash
from lm_eval_calibration.logs.formats.harness.lines import Bad, LeftOut, Sample, documents
from lm_eval_calibration.logs.formats.harness.reading import LineReading, LineRecord

CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Chunk:
    """The documents whose lines begin in one range of a file, M of them with T options in all.

    Attributes:
        scores, gold: (T,) per option, document after document.
        lengths: (T, L) of options, by each normalisation that is read.
        count: (M,) options of each document.
        doc_id: (M,) as logged.
        doc_hash: (M,) first 64 bits.
        offset: (M,) byte at which the line begins.
        line: (M,) line number, from 1 at the range's first line.
        lines: lines in the range, blank ones included.
        bad: (line number, what is wrong) of the lines that could not be read.
        others: lines under other filters than the one that is read, by the filter's name.
    """

    scores: NDArray[np.float64]
    lengths: NDArray[np.int32]
    gold: NDArray[np.bool_]
    count: NDArray[np.int32]
    doc_id: NDArray[np.int64]
    doc_hash: NDArray[np.uint64]
    offset: NDArray[np.int64]
    line: NDArray[np.int64]
    lines: int
    bad: Bad
    others: Counter[str]


def ranges(path: Path) -> list[tuple[int, int]]:
    """Byte ranges of `CHUNK_BYTES` that cover the file."""
    end = path.stat().st_size
    return [(start, min(start + CHUNK_BYTES, end)) for start in range(0, end, CHUNK_BYTES)]


def read_chunk(
    path: Path,
    start: int,
    stop: int,
    reading: LineReading,
    filter_name: str | None,
    parsed: Mapping[int, Sample] = MappingProxyType({}),
) -> Chunk:
    """Read the documents of one range; lines that cannot be read are told apart, not dropped.

    Args:
        path: a samples file.
        start: first byte.
        stop: byte after the last at which a line may begin.
        reading: how its lines say which option is right.
        filter_name: the filter whose lines are read.
        parsed: lines that were parsed before, by their numbers in the range.
    """

    def read(sample: Sample) -> tuple[LineRecord, int, int]:
        return reading.record(sample), sample["doc_id"], doc_hash(sample)

    left_out = LeftOut()
    found = list(documents(path, filter_name, read, left_out, start, stop, parsed))
    records = [record for _, (record, _, _) in found]
    return Chunk(
        scores=np.array([v for r in records for v in r.scores], dtype=np.float64),
        lengths=_lengths(records, len(reading.norms)),
        gold=np.array([v for r in records for v in r.gold], dtype=np.bool_),
        count=np.array([len(r.scores) for r in records], dtype=np.int32),
        doc_id=np.array([number for _, (_, number, _) in found], dtype=np.int64),
        doc_hash=np.array([hashed for _, (_, _, hashed) in found], dtype=np.uint64),
        offset=np.array([place.offset for place, _ in found], dtype=np.int64),
        line=np.array([place.number for place, _ in found], dtype=np.int64),
        lines=left_out.lines,
        bad=left_out.bad,
        others=left_out.others,
    )


def _lengths(records: list[LineRecord], kinds: int) -> NDArray[np.int32]:
    rows = [row for r in records for row in zip(*r.lengths.values(), strict=True)]
    options = sum(len(r.scores) for r in records)
    return np.array(rows, dtype=np.int32).reshape(options, kinds)


def number_lines(chunks: list[Chunk]) -> Bad:
    """Turn the chunks' line numbers into the file's; the bad lines of all."""
    before, bad = 0, []
    for chunk in chunks:
        chunk.line[:] += before
        bad += [(number + before, what) for number, what in chunk.bad]
        before += chunk.lines
    return bad


def join(chunks: list[Chunk]) -> Chunk:
    """The documents of all chunks, one after another."""
    names = ("scores", "lengths", "gold", "count", "doc_id", "doc_hash", "offset", "line")
    joined = {name: np.concatenate([getattr(c, name) for c in chunks]) for name in names}
    others = sum((c.others for c in chunks), Counter[str]())
    return Chunk(**joined, lines=sum(c.lines for c in chunks), bad=[], others=others)


def first_of_each(chunk: Chunk) -> tuple[NDArray[np.bool_], Bad]:
    """Which documents stand here for the first time, and the lines of those that do not."""
    _, first = np.unique(chunk.doc_id, return_index=True)
    keep = np.zeros(len(chunk.doc_id), dtype=bool)
    keep[first] = True
    if keep.all():
        return keep, []
    line_of = dict(zip(chunk.doc_id[first].tolist(), chunk.line[first].tolist(), strict=True))
    again = [(chunk.line[i], chunk.doc_id[i]) for i in np.flatnonzero(~keep)]
    return keep, [
        (
            int(line),
            f"document {doc} (`doc_id`) stands in line {line_of[int(doc)]} already; the file holds "
            "a run twice, or two runs: keep one",
        )
        for line, doc in again
    ]


def select(chunk: Chunk, keep: NDArray[np.bool_]) -> Chunk:
    """The documents for which `keep` (M,) is true."""
    if keep.all():
        return chunk
    options = np.repeat(keep, chunk.count)
    flat = {name: getattr(chunk, name)[options] for name in ("scores", "lengths", "gold")}
    rows = {
        name: getattr(chunk, name)[keep]
        for name in ("count", "doc_id", "doc_hash", "offset", "line")
    }
    return Chunk(**flat, **rows, lines=chunk.lines, bad=[], others=chunk.others)
