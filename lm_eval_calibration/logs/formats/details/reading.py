"""A file of details as `Samples`: its rows held against the verdicts that the run logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.details.record import DetailRecord, record_of
from lm_eval_calibration.logs.formats.details.rows import rows_of
from lm_eval_calibration.logs.formats.details.verdicts import check_verdict
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, OtherTypeError
from lm_eval_calibration.logs.formats.left_out import BadRows
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions

MAY_LIE_OF_LENGTHS = 0.01
"""Of a file's rows, so many may lie about `acc_norm`; if it is more, lengths are counted otherwise."""
LENGTHS: tuple[Callable[[str], int], ...] = (len, lambda text: len(text) - text.startswith(" "))
"""How `acc_norm` may count an option's characters: all, or without the space before it."""


def read_details(file: LogFile, label: str, skip_bad: bool, format_: str) -> Samples:
    """A task's details.

    Args:
        file: of them.
        label: the run's.
        skip_bad: leave out rows that cannot be read, and say how many in `notes`.
        format_: its name.

    Raises:
        OtherTypeError: answers were generated.
        InvalidInputError: it cannot be read, or (unless `skip_bad`) one of its rows cannot.
    """
    bad = BadRows(file.path)
    records = _records(file.path, bad)
    lengths, why_not = _lengths(records, bad)
    bad.bad.sort()
    bad.check(skip_bad, len(records))
    kept = list(records.values())
    gold = [record.gold for record in kept]
    normalised: dict[str, Predictions] = {}
    if lengths is not None:
        scores = [length_normalised(r.scores, [*map(lengths, r.texts)]).tolist() for r in kept]
        normalised["_norm"] = Predictions.from_options(scores, gold)
    part = (
        "of TruthfulQA's two questions (mc1 and mc2) this is mc1, which has one right option",
    ) * any(record.first_part for record in kept)
    return Samples(
        run=label,
        task=file.task,
        path=file.path,
        predictions=Predictions.from_options([record.scores for record in kept], gold),
        normalised=normalised,
        doc_hash=np.array([record.doc_hash for record in kept], dtype=np.uint64),
        notes=(*bad.notes(), *part, *why_not),
        format=format_,
    )


def _records(path: Path, bad: BadRows) -> dict[int, DetailRecord]:
    """The rows that can be read and do not contradict their `acc`, by number."""
    records: dict[int, DetailRecord] = {}
    generated: OtherTypeError | None = None
    for number, row in enumerate(rows_of(path), start=1):
        try:
            record = record_of(row)
            check_verdict("acc", record.verdict, record.scores, record.gold)
        except BadLineError as error:
            generated = error if isinstance(error, OtherTypeError) else generated
            bad.bad.append((number, str(error)))
        else:
            records[number] = record
    if generated is not None and not records:
        raise OtherTypeError(f"{path}: {generated}.")
    return records


def _lengths(
    records: dict[int, DetailRecord], bad: BadRows
) -> tuple[Callable[[str], int] | None, tuple[str, ...]]:
    """How `acc_norm` counts characters, if the file tells; else, where it was logged, why not.

    Rows that contradict what most others say are taken out of `records`, and are bad.
    """
    judged = [r for r in records.values() if r.verdict_norm is not None]
    if not judged or len(judged) < len(records) or not all(r.texts for r in judged):
        return None, ()
    against = {count: _against(records, count) for count in LENGTHS}
    count = min(against, key=lambda count: len(against[count]))
    if len(against[count]) > max(1, MAY_LIE_OF_LENGTHS * len(records)) or len(
        against[count]
    ) == len(records):
        number, what = against[count][0]
        return None, (
            f"`acc_norm` does not follow from the options' lengths in {len(against[count])} rows (row "
            f"{number} is the first: {what}): metrics of length-normalised beliefs cannot be had",
        )
    if len({len(each) for each in against.values()}) == 1 and any(
        LENGTHS[0](text) != LENGTHS[1](text) for r in judged for text in r.texts
    ):
        return None, (
            "the file does not tell whether `acc_norm` counts the space before an option: metrics of "
            "length-normalised beliefs cannot be had",
        )
    for number, what in against[count]:
        del records[number]
        bad.bad.append((number, what))
    return count, ()


def _against(
    records: dict[int, DetailRecord], count: Callable[[str], int]
) -> list[tuple[int, str]]:
    """The rows whose `acc_norm` contradicts a way to count characters."""
    found = []
    for number, record in records.items():
        scores = length_normalised(record.scores, [*map(count, record.texts)]).tolist()
        try:
            check_verdict("acc_norm", record.verdict_norm, scores, record.gold)
        except BadLineError as error:
            found.append((number, str(error)))
    return found


def documents_of(samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
    """The documents of some rows of `samples`, with their texts, from the file they were read from."""
    wanted = {int(samples.doc_hash[row]) for row in rows}
    found: dict[int, tuple[int, DetailRecord]] = {}
    for number, row in enumerate(rows_of(samples.path)):
        try:
            record = record_of(row)
        except BadLineError:
            continue
        if record.doc_hash in wanted:
            found.setdefault(record.doc_hash, (number, record))
    return [_document(samples, row, *found[int(samples.doc_hash[row])]) for row in rows]


def _document(samples: Samples, row: int, number: int, record: DetailRecord) -> LoggedDocument:
    p, here = samples.predictions, np.array([row])
    assert p.options is not None and p.predicted is not None
    texts = record.texts or tuple(str(i) for i in range(len(record.scores)))
    return LoggedDocument(
        doc_id=str(number),
        prompt=record.prompt,
        options=tuple(text.lstrip() for text in texts),
        probabilities=tuple(np.exp(p.options.take(here).values).tolist()),
        gold=tuple(record.gold),
        predicted=int(p.predicted[row]),
        confidence=float(p.confidence[row]),
    )
