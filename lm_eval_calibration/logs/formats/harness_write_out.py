"""What `--write_out` of harness 0.3 left: `{task}_write_out_info.json`, as of the Open LLM Leaderboard's first months.

A document has `prompt_0`, `logit_0` (context and option in one text, and its log-likelihood), ..., `truth` and the run's
metrics as text. Options do not stand apart from their context, so that lengths are not known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import Left, LogFile
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.details.record import loglikelihoods
from lm_eval_calibration.logs.formats.details.verdicts import check_verdict
from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
    shown,
)
from lm_eval_calibration.logs.formats.harness.recorded import model_of
from lm_eval_calibration.logs.formats.json_list import elements, head_of
from lm_eval_calibration.logs.formats.left_out import BadRows, OnlyOptions
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions

SUFFIX = "_write_out_info.json"
RESULTS = "results.json"
NO_LENGTHS = (
    "the file does not hold options apart from their prompts: metrics of length-normalised beliefs "
    "cannot be had"
)
_WORDS = {"true": True, "1.0": True, "1": True, "false": False, "0.0": False, "0": False}


class _Record(NamedTuple):
    doc_id: str
    prompts: list[str]
    scores: list[float]
    gold: list[int]

    @property
    def doc_hash(self) -> int:
        text = "\0".join(self.prompts)
        return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)


class WriteOut(OnlyOptions):
    """A `Format`; a file for each task."""

    name = "lm-eval-write-out"
    meaning = "runs of lm-evaluation-harness 0.3, made with --write_out"

    def finds(self, path: Path) -> Sequence[Left]:
        """The tasks in each folder."""
        folders: dict[Path, dict[str, LogFile]] = {}
        for each in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]:
            if each.name.endswith(SUFFIX) and each.is_file() and head_of(each):
                task = each.name.removesuffix(SUFFIX)
                folders.setdefault(each.parent, {})[task] = LogFile(task, "", each)
        return [
            Left(self.name, folder, files, model=_model(folder))
            for folder, files in folders.items()
        ]

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's file."""
        bad = BadRows(file.path, "document")
        records: list[_Record] = []
        generated: OtherTypeError | None = None
        for number, (_, text) in enumerate(elements(file.path), start=1):
            try:
                records.append(_record(text))
            except BadLineError as error:
                generated = error if isinstance(error, OtherTypeError) else generated
                bad.bad.append((number, str(error)))
        if generated is not None and not records:
            raise OtherTypeError(f"{file.path}: {generated}.")
        bad.check(skip_bad, len(records))
        return Samples(
            run=label,
            task=file.task,
            path=file.path,
            predictions=Predictions.from_options(
                [record.scores for record in records], [record.gold for record in records]
            ),
            doc_hash=np.array([record.doc_hash for record in records], dtype=np.uint64),
            notes=(*bad.notes(), NO_LENGTHS),
            format=self.name,
        )

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the file that was read."""
        wanted = {int(samples.doc_hash[row]) for row in rows}
        found: dict[int, _Record] = {}
        for _, text in elements(samples.path):
            try:
                record = _record(text)
            except BadLineError:
                continue
            if record.doc_hash in wanted:
                found.setdefault(record.doc_hash, record)
        if wanted - found.keys():
            raise InvalidInputError(f"{samples.path} was changed since it was read.")
        return [_document(samples, row, found[int(samples.doc_hash[row])]) for row in rows]


def _model(folder: Path) -> str:
    """By the results file, if it lies beside."""
    try:
        return model_of([json_text.read_object(folder / RESULTS)])[0]
    except (InvalidInputError, OSError):
        return ""


@malformed_is_bad
def _record(text: bytes) -> _Record:
    try:
        row = json_text.loads(text)
    except json_text.InvalidJSONError as error:
        raise BadLineError(f"{error}, or cut off") from None
    if not isinstance(row, Mapping) or "doc_id" not in row:
        raise BadLineError("no object with a `doc_id`")
    prompts = _numbered(row, "prompt")
    scores = loglikelihoods(_numbered(row, "logit"))
    if len(prompts) != len(scores) or not all(isinstance(each, str) for each in prompts):
        raise BadLineError(f"{len(scores)} log-likelihoods of {len(prompts)} prompts")
    if "acc" not in row:
        raise OtherTypeError("no `acc`: the task scores its documents in a way of its own")
    record = _Record(str(row["doc_id"]), prompts, scores, _gold(row.get("truth"), prompts))
    check_verdict("acc", _WORDS.get(str(row["acc"]).lower()), scores, record.gold)
    return record


def _numbered(row: Mapping[str, Any], name: str) -> list[Any]:
    """`name_0`, `name_1` and so on, as far as they go."""
    found: list[Any] = []
    while f"{name}_{len(found)}" in row:
        found.append(row[f"{name}_{len(found)}"])
    return found


def _gold(truth: Any, prompts: Sequence[str]) -> list[int]:
    """The right option by its number, or as the text that one prompt ends with."""
    if isinstance(truth, str):
        ends = [i for i, prompt in enumerate(prompts) if truth.strip() and prompt.endswith(truth)]
        if len(ends) == 1:
            return ends
    elif isinstance(truth, int) and not isinstance(truth, bool) and 0 <= truth < len(prompts):
        return [truth]
    raise BadLineError(f"`truth` is {shown(truth)}, which is not one of {len(prompts)} options")


def _shared(prompts: Sequence[str]) -> str:
    """What all prompts begin with, up to the end of a word."""
    first, last = min(prompts), max(prompts)  # what these two share, all share
    count = next(
        (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first)
    )
    return first[: first.rfind(" ", 0, count) + 1]


def _document(samples: Samples, row: int, record: _Record) -> LoggedDocument:
    p, here = samples.predictions, np.array([row])
    assert p.options is not None and p.predicted is not None
    shared = _shared(record.prompts)
    return LoggedDocument(
        doc_id=record.doc_id,
        prompt=shared.rstrip(),
        options=tuple(prompt[len(shared) :].strip() for prompt in record.prompts),
        probabilities=tuple(np.exp(p.options.take(here).values).tolist()),
        gold=tuple(record.gold),
        predicted=int(p.predicted[row]),
        confidence=float(p.confidence[row]),
    )


WRITE_OUT = WriteOut()
