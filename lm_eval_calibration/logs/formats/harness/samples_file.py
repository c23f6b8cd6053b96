"""Read a file that a harness run logged with `--log_samples`, of any multiple-choice task."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, unknown_name
from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.logs.contract import Progress
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, OtherTypeError
from lm_eval_calibration.logs.formats.harness.choosing import Found, find_reading
from lm_eval_calibration.logs.formats.harness.chunk import (
    Chunk,
    first_of_each,
    join,
    number_lines,
    ranges,
    read_chunk,
    select,
)
from lm_eval_calibration.logs.formats.harness.files import task_name
from lm_eval_calibration.logs.formats.harness.gold import BY_VERDICT
from lm_eval_calibration.logs.formats.harness.lines import LeftOut, Sample, probe, refusal
from lm_eval_calibration.logs.formats.harness.printed import differences
from lm_eval_calibration.logs.formats.harness.reading import PAIRS_ONLY, SCORES_ONLY, LineReading
from lm_eval_calibration.logs.formats.harness.results import results_beside
from lm_eval_calibration.logs.formats.harness.told import ToldByLog, told_of
from lm_eval_calibration.logs.run import AS_SCORES, Samples
from lm_eval_calibration.logs.workers import LARGE_BYTES, Submit, workers
from lm_eval_calibration.normalisation import NORMALISATIONS
from lm_eval_calibration.predictions import Floats, Ints, Predictions
from lm_eval_calibration.ragged import blocks, starts_of

FORMAT = "lm-eval"


def load_samples(path: str | Path, *, normalised: bool | str = False) -> Predictions:
    """The predictions behind a samples file, whether or not this plugin was installed for the run.

    Args:
        path: a `samples_<task>_<date>.jsonl` file of a multiple-choice task or of its twin.
        normalised: by length-normalised log-likelihoods, as `acc_norm` has it; `"_bytes"` as `acc_bytes` has
            it.

    Returns:
        One row per document, in the file's order: the very numbers of the live run.

    Raises:
        InvalidInputError: no such file, no multiple-choice documents, a line that cannot be read
            (with its number), or `normalised` where the run logged no `acc_norm` (`acc_bytes`), or
            nothing tells how long options are.
    """
    samples = read_samples(path)
    if not normalised:
        return samples.predictions
    suffix = normalised if isinstance(normalised, str) else "_norm"
    if suffix not in NORMALISATIONS:
        raise unknown_name("normalisation", suffix, NORMALISATIONS)
    if suffix not in samples.normalised:
        reason = "".join(f" ({note})" for note in samples.notes if "length" in note)
        raise InvalidInputError(
            f"{path} logs no `{NORMALISATIONS[suffix].verdict}` that can be followed{reason}: leave "
            "`normalised` out."
        )
    return samples.normalised[suffix]


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
    with workers(processes, os.path.isfile(file) and file.stat().st_size > LARGE_BYTES) as submit:
        return begin(file, submit, filter_name).finish(run, skip_bad, progress)


@dataclass(frozen=True)
class Started:
    """A file of which it is known how it is read, and whose ranges are being read."""

    found: Found
    filter_name: str | None
    chunks: list[Callable[[], Chunk]]
    sizes: list[int]


@dataclass(frozen=True)
class PendingLines:
    """A file that is being read, by the lines of one filter."""

    file: Path
    started: Callable[[], Started]
    results: Mapping[str, Any]

    def finish(self, run: str, skip_bad: bool, progress: Progress | None) -> Samples:
        """Gather what was read; see `read_samples`."""
        chunks, started = [], self.started()
        for result, size in zip(started.chunks, started.sizes, strict=True):
            chunks.append(result())
            if progress:
                progress(size)
        bad = number_lines(chunks)
        whole = join(chunks)
        keep, twice = first_of_each(whole)
        left_out = LeftOut(whole.lines, sorted(bad + twice), whole.others)
        left_out.check(self.file, skip_bad)
        notes = left_out.notes(started.filter_name) + started.found.notes
        samples = _samples(self.file, run, started.found.reading, select(whole, keep), notes)
        return replace(samples, notes=samples.notes + differences(samples, self.results))


def begin(
    file: Path,
    submit: Submit,
    wanted: str | None = None,
    results: Mapping[str, Any] | None = None,
) -> PendingLines:
    """Find out how a file is to be read, by which filter's lines, and submit its ranges.

    Of a file of one range all of that is done where the range is read, unless a filter is wanted.

    Args:
        file: a samples file.
        submit: has a function run, here or in another process.
        wanted: the filter, where the file has it.
        results: what the run's results file holds; it is read where it lies beside the file, if not given.

    Raises:
        InvalidInputError: no such file, or none of its first lines can be read.
    """
    if not os.path.isfile(file):
        raise InvalidInputError(f"{file} is no file; give a samples_<task>_<date>.jsonl.")
    results = results_beside(file) if results is None else results
    told = told_of(results, task_name(file))
    if wanted is None and len(ranges(file)) == 1:
        whole = submit(_whole, file, told)
        return PendingLines(file, lambda: _of_whole(*whole()), results)
    started = _start(file, submit, wanted, told)
    return PendingLines(file, lambda: started, results)


def _start(file: Path, submit: Submit, wanted: str | None, told: ToldByLog) -> Started:
    _, found, filter_name = _first_lines(file, wanted, told)
    spans = ranges(file)
    chunks = [submit(read_chunk, file, *span, found.reading, filter_name) for span in spans]
    return Started(found, filter_name, chunks, [stop - start for start, stop in spans])


def _whole(file: Path, told: ToldByLog) -> tuple[Found, str | None, Chunk, int]:
    """All that is read of a file of one range, as it comes back from another process."""
    parsed, found, filter_name = _first_lines(file, None, told)
    ((start, stop),) = ranges(file)
    chunk = read_chunk(file, start, stop, found.reading, filter_name, dict(parsed))
    return found, filter_name, chunk, stop - start


def _first_lines(
    file: Path, wanted: str | None, told: ToldByLog
) -> tuple[Sequence[tuple[int, Sample]], Found, str | None]:
    """A file's first lines, how they are read, and by which filter."""
    parsed, bad, filter_name = probe(file, wanted)
    if not parsed and bad:
        raise refusal(file, bad)
    if not parsed:
        raise InvalidInputError(f"{file} is empty: the run logged no documents.")
    try:
        return parsed, find_reading(parsed, told), filter_name
    except BadLineError as error:
        kind = OtherTypeError if isinstance(error, OtherTypeError) else BadLineError
        raise kind(f"{file}, line {parsed[0][0]}: {error}.") from None


def _of_whole(found: Found, filter_name: str | None, chunk: Chunk, size: int) -> Started:
    return Started(found, filter_name, [lambda: chunk], [size])


def _samples(
    file: Path, run: str, reading: LineReading, chunk: Chunk, notes: tuple[str, ...]
) -> Samples:
    if not len(chunk.count):
        raise InvalidInputError(f"{file} holds no document that can be read: {notes[0]}.")
    predictions, normalised = _predictions(file, reading, chunk)
    if reading.gold == BY_VERDICT and predictions.options is None:
        notes += (
            "the log does not say which option is right, only whether the answer was: metrics of "
            "all options cannot be had",
        )
    elif reading.gold == BY_VERDICT and not predictions.correct.all():
        notes += (
            f"of {int((~predictions.correct).sum()):,} document(s) that were answered wrong, the other one of the "
            "two options is taken to be right: the log does not say",
        )
    notes += _warnings(predictions)
    return Samples(
        run=run,
        task=task_name(file),
        path=file,
        predictions=predictions,
        normalised=normalised,
        doc_hash=chunk.doc_hash,
        offset=chunk.offset,
        notes=notes,
        format=FORMAT,
    )


def _warnings(predictions: Predictions) -> tuple[str, ...]:
    """What a reader must know of the beliefs themselves, as a live run says it."""
    options, golds = predictions.options, predictions.golds
    if predictions.are_scores:
        return (AS_SCORES,)
    if options is None or golds is None:
        return ()
    starts = starts_of(options.count)[:-1]
    keyless = len(predictions) - int(np.logical_or.reduceat(golds.values, starts).sum())
    alike = np.maximum.reduceat(options.values, starts) == np.minimum.reduceat(
        options.values, starts
    )
    notes = []
    if keyless:
        notes.append(
            f"the answer key of {keyless:,} document(s) names none of the options: they count as wrong, "
            "as in `acc`, and are left out of `nll` and `brier`"
        )
    if alike.all():
        notes.append(
            "all options of every document have the same log-likelihood: the model, or the server, told "
            "nothing, and the figures are those of chance"
        )
    return tuple(notes)


def _predictions(
    file: Path, reading: LineReading, chunk: Chunk
) -> tuple[Predictions, dict[str, Predictions]]:
    """Predictions by the log-likelihoods, and by those of each normalisation that is read."""
    if reading.gold == PAIRS_ONLY:
        return Predictions.from_confidences(chunk.scores, chunk.gold), {}
    if reading.gold == SCORES_ONLY:
        return Predictions.from_scores(chunk.scores, chunk.gold), {}
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
            return _verdicts_of(predictions), {}
    normalised = {
        suffix: Predictions.from_flat(_per_unit(chunk, count, kind), count, chunk.gold)
        for kind, suffix in enumerate(reading.norms)
    }
    if not reading.sure:
        return _verdicts_of(predictions), {s: _verdicts_of(p) for s, p in normalised.items()}
    return predictions, normalised


def _per_unit(chunk: Chunk, count: Ints, kind: int) -> Floats:
    """(T,) log-likelihoods over options' lengths."""
    scores = np.empty(len(chunk.scores))
    for block in blocks(count):
        logits = block.padded(chunk.scores, -np.inf)
        lengths = block.padded(chunk.lengths[:, kind], 0)
        scores[block.places] = block.flat(length_normalised(logits, lengths))
    return scores


def _verdicts_of(predictions: Predictions) -> Predictions:
    """What is left where it is not sure which option is right, but whether the answer was."""
    return Predictions(predictions.confidence, predictions.correct)
