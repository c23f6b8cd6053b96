"""A range of bytes of a samples file, as arrays: the unit of work of parallel reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.samples.line import BadLineError, doc_hash, parse
from lm_eval_calibration.samples.reading import Reading, Record

CHUNK_BYTES = 1 << 24
Bad = list[tuple[int, str]]
"""(line number, what is wrong with it)."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """The documents whose lines begin in one range of a file, M of them with T options in all.

    Attributes:
        scores, lengths, gold: (T,) per option, document after document.
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


def lines_of(path: Path, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every line that begins in [start, stop)."""
    with path.open("rb") as file:
        position = start
        if start:
            file.seek(start - 1)
            position = start - 1 + len(file.readline())  # the line that began before is not ours
        for line in file:
            if position >= stop:
                return
            yield position, line
            position += len(line)


def read_chunk(path: Path, start: int, stop: int, reading: Reading, filter_name: Any) -> Chunk:
    """Read the documents of one range; lines that cannot be read are told apart, not dropped.

    Args:
        path: a samples file.
        start: first byte.
        stop: byte after the last at which a line may begin.
        reading: how its lines say which option is right.
        filter_name: the filter whose lines are read.
    """
    records: list[Record] = []
    facts: list[tuple[int, int, int, int]] = []
    bad: list[tuple[int, str]] = []
    others: Counter[str] = Counter()
    number = 0
    for number, (offset, line) in enumerate(lines_of(path, start, stop), start=1):
        if not line.strip():
            continue
        try:
            sample = parse(line)
            if sample.get("filter") != filter_name:
                others[str(sample.get("filter"))] += 1
                continue
            record = reading.record(sample)
            facts.append((int(sample["doc_id"]), doc_hash(sample), offset, number))
            records.append(record)
        except BadLineError as error:
            bad.append((number, str(error)))
    return _chunk(records, facts, number, bad, others)


def _chunk(
    records: list[Record],
    facts: list[tuple[int, int, int, int]],
    lines: int,
    bad: list[tuple[int, str]],
    others: Counter[str],
) -> Chunk:
    columns = list(zip(*facts, strict=True)) or [(), (), (), ()]
    return Chunk(
        scores=np.array([v for r in records for v in r.scores], dtype=np.float64),
        lengths=np.array([v for r in records for v in r.lengths], dtype=np.int32),
        gold=np.array([v for r in records for v in r.gold], dtype=np.bool_),
        count=np.array([len(r.scores) for r in records], dtype=np.int32),
        doc_id=np.array(columns[0], dtype=np.int64),
        doc_hash=np.array(columns[1], dtype=np.uint64),
        offset=np.array(columns[2], dtype=np.int64),
        line=np.array(columns[3], dtype=np.int64),
        lines=lines,
        bad=bad,
        others=others,
    )


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
