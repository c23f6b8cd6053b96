"""Fields of documents beside what is scored: of a logged `doc`, or of a table's columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.clusters import AUTO, FEW_CLUSTERS, NONE, field, numbered, passage
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError, invalid, unknown_name
from lm_eval_calibration.logs.formats.harness.lines import again
from lm_eval_calibration.logs.formats.harness.samples_file import FORMAT
from lm_eval_calibration.logs.run import Run, Samples


def field_of(samples: Samples, name: str) -> NDArray[np.object_]:
    """(N,) texts of a field of all documents, "" where a document does not have it.

    Args:
        samples: of a harness log, or of a table read with that column.
        name: of the field; `meta.source` is `source` in `meta`.

    Raises:
        UnknownNameError: no document has it; near names are suggested.
        InvalidInputError: the logs hold no fields of documents.
    """
    if name in samples.columns:
        return samples.columns[name]
    if samples.format != FORMAT or not len(samples.offset):
        raise InvalidInputError(
            f"{samples.path} holds no fields of documents, so `{name}` cannot be read: harness logs and "
            "tables have them."
        )
    found = [field(doc, name) for doc in _docs(samples, range(len(samples)))]
    if all(value is None for value in found):
        there = next(_docs(samples, [0]))
        raise unknown_name(f"field of documents in {samples.path}:", name, list(there))
    return np.array([value or "" for value in found], dtype=object)


def clustered(runs: Sequence[Run], by: str) -> list[Run]:
    """The runs with the documents of each task that belong together marked.

    Args:
        runs: as they were read.
        by: `auto`: by the passage that documents have in common, where a field is called so; `none`; or a
            field, by which documents that have it not stand alone.

    Raises:
        UnknownNameError, InvalidInputError: as `field_of`, if so it is of every task; or all documents have
            the same in the field.
    """
    if by == NONE:
        return list(runs)
    if not by or (by.lower() in (AUTO, NONE) and by not in (AUTO, NONE)):
        raise invalid("--cluster", f"a field, `{AUTO}` or `{NONE}`", f"`{by}`")
    found, lacking = [], []
    for run in runs:
        samples = dict(run.samples)
        for task, one in run.samples.items():
            try:
                samples[task] = _clustered(one, by)
            except UnknownNameError as error:
                lacking.append(error)
        found.append(replace(run, samples=samples))
    if lacking and len(lacking) == sum(len(run.samples) for run in runs):
        raise lacking[0]
    return found


def _clustered(samples: Samples, by: str) -> Samples:
    name = _passage(samples) if by == AUTO else by
    if not name:
        return samples
    cluster = numbered(field_of(samples, name).tolist())
    number = int(cluster.max()) + 1
    if number == len(samples) or (by == AUTO and number < FEW_CLUSTERS):
        return samples
    if number < 2:
        raise InvalidInputError(
            f"{samples.path}: all documents have the same `{name}`, and one cluster says nothing of others. "
            "Name another field, or --cluster none."
        )
    few = "; intervals from so few are too short" if number < FEW_CLUSTERS else ""
    unasked = "; --cluster none draws each by itself" if by == AUTO else ""
    note = f"documents of one `{name}` are drawn together, {number:,} of them{few}{unasked}"
    return replace(samples, cluster=cluster, notes=(*samples.notes, note))


def _passage(samples: Samples) -> str:
    """The field that is a passage by its name, or ""."""
    if samples.format != FORMAT or not len(samples.offset):
        return ""
    return passage(next(_docs(samples, [0])))


def _docs(samples: Samples, rows: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    """What the harness logged of some documents themselves."""
    for sample in again(samples.path, (samples.offset[row] for row in rows)):
        doc = sample.get("doc")
        yield doc if isinstance(doc, Mapping) else {}
