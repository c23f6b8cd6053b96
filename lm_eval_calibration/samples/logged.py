"""Read a file that a harness run logged with `--log_samples`, of any multiple-choice task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.predictions import Predictions, length_normalised
from lm_eval_calibration.ragged import blocks, starts_of
from lm_eval_calibration.samples.chunk import (
    Bad,
    Chunk,
    first_of_each,
    join,
    lines_of,
    number_lines,
    ranges,
    read_chunk,
    select,
)
from lm_eval_calibration.samples.files import has_filter, other_filters, task_name
from lm_eval_calibration.samples.line import BadLineError, OtherTypeError, parse
from lm_eval_calibration.samples.reading import BY_VERDICT, PAIRS_ONLY, Reading, find_reading
from lm_eval_calibration.samples.run import Samples
from lm_eval_calibration.samples.workers import Submit, workers

PROBED_LINES = 200
LARGE_BYTES = 1 << 25
"""Files of more than this in all are read by several processes."""

Progress = Callable[[int], None]


def load_samples(path: str | Path, *, normalised: bool = False) -> Predictions:
    """The predictions behind a samples file, whether or not this plugin was installed for the run.

    Args:
        path: a `samples_<task>_<date>.jsonl` file of a multiple-choice task or of its twin.
        normalised: by length-normalised log-likelihoods, as `acc_norm` has it.

    Returns:
        One row per document, in the file's order: the very numbers of the live run.

    Raises:
        InvalidInputError: no such file, no multiple-choice documents, a line that cannot be read
            (with its number), or `normalised` where the run logged no `acc_norm`.
    """
    samples = read_samples(path)
    if not normalised:
        return samples.predictions
    if samples.normalised is None:
        raise InvalidInputError(f"{path} logs no `acc_norm`: leave `normalised` out.")
    return samples.normalised


def read_samples(
    path: str | Path,
    *,
    run: str = "",
    skip_bad: bool = False,
    filter_name: str | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> Samples:
    """Read one samples file; memory grows with the numbers kept, not with the file.

    Args:
        path: the file.
        run: the label of the run that it belongs to.
        skip_bad: leave out lines that cannot be read, and say how many in `notes`.
        filter_name: whose lines are read, where the file has it; the first one's by default.
        processes: worker processes for large files.
        progress: called with the number of bytes read since the last call.

    Raises:
        InvalidInputError: as `load_samples`.
    """
    file = Path(path)
    with workers(processes, file.is_file() and file.stat().st_size > LARGE_BYTES) as submit:
        return begin(file, submit, filter_name).finish(run, skip_bad, progress)


@dataclass(frozen=True)
class Pending:
    """A file whose ranges are being read, by the lines of one filter."""

    file: Path
    reading: Reading
    filter_name: Any
    chunks: list[Callable[[], Chunk]]
    sizes: list[int]

    def finish(self, run: str, skip_bad: bool, progress: Progress | None) -> Samples:
        """Gather what was read; see `read_samples`."""
        chunks = []
        for result, size in zip(self.chunks, self.sizes, strict=True):
            chunks.append(result())
            if progress:
                progress(size)
        bad = number_lines(chunks)
        whole = join(chunks)
        keep, twice = first_of_each(whole)
        bad = sorted(bad + twice)
        if bad and not skip_bad:
            raise _refusal(self.file, bad)
        notes = _left_out(bad) + other_filters(self.filter_name, whole.others)
        return _samples(self.file, run, self.reading, select(whole, keep), notes)


def begin(file: Path, submit: Submit, wanted: str | None = None) -> Pending:
    """Find out how a file is to be read, by which filter's lines, and submit its ranges.

    Raises:
        InvalidInputError: no such file, or none of its first lines can be read.
    """
    if not file.is_file():
        raise InvalidInputError(f"{file} is no file; give a samples_<task>_<date>.jsonl.")
    reading, filter_name = _probe(file)
    if wanted is not None and has_filter(file, wanted):
        filter_name = wanted
    spans = ranges(file)
    chunks = [submit(read_chunk, file, *span, reading, filter_name) for span in spans]
    return Pending(file, reading, filter_name, chunks, [stop - start for start, stop in spans])


def _probe(file: Path) -> tuple[Reading, Any]:
    """How the file's lines are to be read, and the filter that the first one names."""
    parsed: list[tuple[int, dict[str, Any]]] = []
    reasons: list[tuple[int, BadLineError]] = []
    lines = islice(lines_of(file, 0, file.stat().st_size), PROBED_LINES)
    for number, (_, line) in enumerate(lines, start=1):
        try:
            if line.strip():
                parsed.append((number, parse(line)))
        except BadLineError as error:
            reasons.append((number, error))
    if not parsed and not reasons:
        raise InvalidInputError(f"{file} is empty: the run logged no documents.")
    if not parsed:
        raise _refusal(file, [(number, str(error)) for number, error in reasons])
    samples = [sample for _, sample in parsed]
    try:
        return find_reading(samples), samples[0].get("filter")
    except BadLineError as error:
        raise type(error)(f"{file}, line {parsed[0][0]}: {error}.") from None


def _refusal(file: Path, bad: Bad) -> InvalidInputError:
    number, what = bad[0]
    s = "s" if len(bad) > 2 else ""
    more = f" {len(bad) - 1:,} more line{s} cannot be read." if len(bad) > 1 else ""
    return InvalidInputError(
        f"{file}, line {number}: {what}.{more} --skip-bad (in Python `skip_bad=True`) leaves such "
        "lines out and counts them."
    )


def _left_out(bad: Bad) -> tuple[str, ...]:
    if not bad:
        return ()
    number, what = bad[0]
    s = "s" if len(bad) > 1 else ""
    return (f"{len(bad):,} line{s} left out, the first of them line {number}: {what}",)


def _samples(
    file: Path, run: str, reading: Reading, chunk: Chunk, notes: tuple[str, ...]
) -> Samples:
    if not len(chunk.count):
        raise InvalidInputError(f"{file} holds no document that can be read: {notes[0]}.")
    predictions, normalised = _predictions(file, reading, chunk)
    if reading.gold == BY_VERDICT and predictions.gold is None:
        notes += (
            "the log does not say which option is right, only whether the answer was: metrics of "
            "all options cannot be had",
        )
    return Samples(
        run=run,
        task=task_name(file),
        path=file,
        predictions=predictions,
        normalised=normalised,
        doc_hash=chunk.doc_hash,
        offset=chunk.offset,
        notes=notes,
    )


def _predictions(
    file: Path, reading: Reading, chunk: Chunk
) -> tuple[Predictions, Predictions | None]:
    """Predictions by the log-likelihoods, and by the length-normalised ones if asked for."""
    if reading.gold == PAIRS_ONLY:
        return Predictions.from_confidences(chunk.scores, chunk.gold), None
    count = chunk.count.astype(np.intp)
    if count.max() < 2:
        raise OtherTypeError(
            f"{file}: every document has a single option, as in tasks of `output_type` "
            "loglikelihood; there is nothing to be uncertain between."
        )
    predictions = Predictions.from_flat(chunk.scores, count, chunk.gold)
    if reading.gold == BY_VERDICT:
        known = np.logical_or.reduceat(chunk.gold, starts_of(count)[:-1])
        if not known.all():
            return Predictions(predictions.confidence, predictions.correct), None
    if not reading.normalised:
        return predictions, None
    scores = np.empty(len(chunk.scores))
    for block in blocks(count):
        logits, lengths = block.padded(chunk.scores, -np.inf), block.padded(chunk.lengths, 0)
        scores[block.places] = block.flat(length_normalised(logits, lengths))
    return predictions, Predictions.from_flat(scores, count, chunk.gold)
