"""Labelled responses to fit a scorer of sentences on: from logged runs, or from tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration import json_text
from lm_eval_calibration.envelope import Envelope, is_envelope
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fractal.bags import Pairs
from lm_eval_calibration.fractal.responses import Response, question_of
from lm_eval_calibration.fractal.sentences import split
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.logs.formats.harness.asked import messages_of, prompt_of
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad, shown
from lm_eval_calibration.logs.formats.harness.files import has_filter
from lm_eval_calibration.logs.formats.harness.line import doc_hash
from lm_eval_calibration.logs.formats.harness.lines import LeftOut, documents, probe
from lm_eval_calibration.logs.formats.harness.recorded import model_of, prompts_of
from lm_eval_calibration.logs.runs import find_runs
from lm_eval_calibration.models.shared.instances import document_hash
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.prompt_format import PromptFormat

TABLES = (".jsonl", ".csv", ".parquet")

JUDGED = "judged"
"""In place of a metric: what judged the candidates, whichever it was."""


@dataclass(frozen=True)
class LabelledResponses:
    """Responses, and where they came from.

    Attributes:
        responses: in order; pairs refer to their numbers.
        tasks: how many of each task (or file).
        pairs: preferences, or `None`.
        model: whose responses they are, or "".
        notes: what a reader must know of how they were read: lines left out, for instance.
        prompts: how these were asked for, by task.
    """

    responses: list[Response]
    tasks: dict[str, int]
    pairs: Pairs | None = None
    model: str = ""
    notes: tuple[str, ...] = ()
    prompts: dict[str, PromptFormat] = field(default_factory=dict)


def of_samples(
    paths: Sequence[str],
    label: str | None,
    how: str,
    filter_name: str | None = None,
    *,
    skip_bad: bool = False,
) -> LabelledResponses:
    """The responses of generation runs that were logged with `--log_samples`.

    A run of `--model self_consistency` or `self_correct` gives each candidate with its score.

    Args:
        paths: samples files, folders or globs.
        label: the metric that says whether a response is right, e.g. exact_match; `None` if that
            is not asked.
        how: responses are split; see `split`.
        filter_name: of tasks with several filters, whose verdict is read; the first's by default.
        skip_bad: leave out lines that cannot be read, and say how many in `notes`.

    Raises:
        InvalidInputError: nothing to read, no such metric, or a label outside [0, 1].
    """
    found: list[Response] = []
    tasks: dict[str, int] = {}
    models: list[str] = []
    prompts: dict[str, PromptFormat] = {}
    notes: list[str] = []
    for run in find_runs([*paths], formats=[HARNESS]):
        models.append(model_of(run.results)[0])
        for task, one in prompts_of(run.results, run.files).items():
            prompts[task] = replace(one, beliefs=None)
        for task, file in run.files.items():
            mine, left_out = _of_file(file.path, label, how, filter_name, skip_bad)
            notes += [f"{file.path}: {note}." for note in left_out]
            tasks[upstream_name(task)] = tasks.get(upstream_name(task), 0) + len(mine)
            found += mine
    if not found:
        raise InvalidInputError(f"No responses were logged in {', '.join(paths)}.")
    model = ", ".join(dict.fromkeys(models)) if all(models) else ""
    return LabelledResponses(found, tasks, model=model, notes=tuple(notes), prompts=prompts)


def _of_file(
    path: Path, label: str | None, how: str, filter_name: str | None, skip_bad: bool
) -> tuple[list[Response], tuple[str, ...]]:
    if filter_name is not None and not has_filter(path, filter_name):
        raise invalid("--filter", f"a filter of {path}", f"`{filter_name}`")
    name, left_out = probe(path, filter_name).filter_name, LeftOut()
    read = documents(path, name, lambda sample: _of_sample(sample, label, how), left_out)
    found = [response for _, some in read for response in some]
    left_out.check(path, skip_bad)
    return found, left_out.notes(name)


def _of_sample(sample: Mapping[str, Any], label: str | None, how: str) -> list[Response]:
    question = question_of(sample.get("doc"), prompt_of(sample))
    document, prompt = doc_hash(sample), messages_of(sample)
    return [
        Response(
            question, tuple(split(text, how)), value, document=document, prompt=prompt, text=text
        )
        for text, value in scored(sample, label)
    ]


@malformed_is_bad
def scored(sample: Mapping[str, Any], label: str | None) -> list[tuple[str, float]]:
    """The responses of a logged line, each with its score; NaN where `label` is `None`.

    Raises:
        BadLineError: the metric is not there, or no number; or no text was generated.
    """
    envelopes = sample.get("envelopes")
    if label not in (None, JUDGED) and label not in sample:
        known = ", ".join(
            k for k, v in sample.items() if isinstance(v, (int, float)) and k != "doc_id"
        )
        raise BadLineError(
            f"no metric `{label}` in this line; --label names one that the task logs ({known})"
        )
    if isinstance(envelopes, Mapping) and envelopes.get("candidates"):
        scores = envelopes["scores"] if label else [math.nan] * len(envelopes["candidates"])
        return [
            (str(text), float(score))
            for text, score in zip(envelopes["candidates"], scores, strict=True)
        ]
    text = _generated(sample)
    if label is None:
        return [(text, math.nan)]
    value = sample[label]
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise BadLineError(f"`{label}` must be a number from 0 to 1, got {shown(value)}")
    return [(text, float(value))]


def _generated(sample: Mapping[str, Any]) -> str:
    responses = sample.get("resps")
    try:
        text = responses[0][0]  # type: ignore[index]
    except (TypeError, IndexError, KeyError):
        text = None
    if not isinstance(text, str):
        raise BadLineError("no generated text in `resps`; this is no generation task's line")
    if is_envelope(text):
        envelope = Envelope.from_text(text)
        text = (envelope.answer if envelope else None) or ""
    return text


def of_table(path: Path, how: str) -> LabelledResponses:
    """The responses of a .jsonl, .csv or .parquet file.

    Columns `question`, `response` (a text, or a list of its sentences) and `label`, and where they
    are known `sentence_labels`; or, for preferences, `question`, `first`, `second` and `preferred`
    (1 or 2).

    Raises:
        InvalidInputError: another kind of file, or a column that is missing or holds something else.
    """
    rows = _rows(path)
    if not rows:
        raise InvalidInputError(f"{path} has no rows.")
    if "preferred" in rows[0]:
        return _preferences(path, rows, how)
    found = []
    for number, row in enumerate(rows, start=1):
        try:
            found.append(_response(row, row["response"], how, float(row["label"])))
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_row(path, number, error) from error
    return LabelledResponses(found, {path.stem: len(found)})


def _preferences(path: Path, rows: Sequence[Mapping[str, Any]], how: str) -> LabelledResponses:
    found: list[Response] = []
    target = []
    for number, row in enumerate(rows, start=1):
        try:
            if row["preferred"] not in (1, 2):
                raise ValueError(f"`preferred` must be 1 or 2, got {row['preferred']!r}")
            found += [_response(row, row[side], how) for side in ("first", "second")]
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_row(path, number, error) from error
        target.append(float(row["preferred"] == 2))
    even = np.arange(0, len(found), 2)
    return LabelledResponses(found, {path.stem: len(rows)}, Pairs(even, even + 1, np.array(target)))


def _response(row: Mapping[str, Any], response: Any, how: str, label: float = math.nan) -> Response:
    whole = isinstance(response, str)
    sentences = split(response, how) if whole else [str(part) for part in response]
    labels = row.get("sentence_labels")
    known = () if labels is None else tuple(float("nan" if x is None else x) for x in labels)
    return Response(str(row["question"]), tuple(sentences), label, known, document_hash(row))


def _rows(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    if path.suffix not in TABLES:
        raise invalid("--table", ", ".join(TABLES), f"`{path}`")
    try:
        if path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            return [dict(json_text.loads(line)) for line in lines if line.strip()]
        read = pd.read_csv if path.suffix == ".csv" else pd.read_parquet
        return read(path).to_dict("records")
    except (ValueError, TypeError, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read: {error}.") from error


def _bad_row(path: Path, number: int, error: Exception) -> InvalidInputError:
    what = f"no column {error}" if isinstance(error, KeyError) else str(error)
    return InvalidInputError(f"{path}, row {number}: {what}.")
