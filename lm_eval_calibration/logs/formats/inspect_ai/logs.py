"""`InspectLogs`: the format of what `inspect eval` leaves in its log folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import Left, LogFile
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
)
from lm_eval_calibration.logs.formats.inspect_ai.answer import NO_CONFIDENCE
from lm_eval_calibration.logs.formats.inspect_ai.files import (
    Header,
    header_of,
    is_log,
    log_file,
    sample_at,
    samples_of,
)
from lm_eval_calibration.logs.formats.inspect_ai.sample import (
    FailedSample,
    ReadSample,
    options_of,
    read,
)
from lm_eval_calibration.logs.gathered import Gathered, LoggedBelief, TaskFiles
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.logs.secret_places import DATA
from lm_eval_calibration.redact import hiding, redact, secrets_in

NOTHING_HERE = "no confidence in this file: run `inspect eval` with --logprobs --top-logprobs 20"


class InspectLogs(TaskFiles):
    """A `Format`; one file for each task and model, several models in one folder."""

    name = "inspect"
    meaning = "logs of inspect_ai (.eval, .json), of multiple choice with --logprobs --top-logprobs"

    def finds(self, path: Path) -> Sequence[Left]:
        """The newest log of each task and model in each folder."""
        paths = sorted([*path.rglob("*.eval"), *path.rglob("*.json")]) if path.is_dir() else [path]
        found: dict[tuple[Path, str], dict[str, LogFile]] = {}
        for each in filter(is_log, paths):
            model, file = log_file(each)
            tasks = found.setdefault((each.parent, model), {})
            if file.task not in tasks or file.date > tasks[file.task].date:
                tasks[file.task] = file
        return [
            Left(self.name, folder, files, model=model) for (folder, model), files in found.items()
        ]

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's log."""
        header = header_of(file.path)
        secrets = secrets_in(header.spec)
        with hiding(secrets):
            return _read(file, label, skip_bad, self.name, header, secrets)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the samples that were read."""
        return [
            _document(
                samples,
                row,
                redact(sample_at(samples.path, int(samples.offset[row])), samples.secrets, DATA),
            )
            for row in rows
        ]


def _read(
    file: LogFile,
    label: str,
    skip_bad: bool,
    format_: str,
    header: Header,
    secrets: frozenset[str],
) -> Samples:
    gathered, good, failed = Gathered(file.path), [], 0
    others: Counter[str] = Counter()
    for place, start, value in samples_of(file.path):
        try:
            if isinstance(value, BadLineError):
                raise value
            found = read(value, start)
        except OtherTypeError as error:
            others[str(error)] += 1
            gathered.bad.append((place, str(error)))
        except BadLineError as error:
            gathered.bad.append((place, str(error)))
        else:
            if isinstance(found, FailedSample):
                failed += 1
            else:
                good.append(found)
                gathered.kept.append(found.belief)
    if others and not good:
        (why, _), *_ = others.most_common(1)
        raise OtherTypeError(f"{file.path}: {NOTHING_HERE if why == NO_CONFIDENCE else why}.")
    gathered.check(skip_bad)
    notes = _notes(good, failed, header, gathered)
    return gathered.samples(label, file.task, format_, secrets, redact(notes, secrets))


def _notes(
    good: Sequence[ReadSample], failed: int, header: Header, gathered: Gathered
) -> tuple[str, ...]:
    outside = np.array([each.outside for each in good])
    notes = [
        "beliefs are the probabilities of the options' letters where the answer gives its own; "
        f"other tokens there held {outside.mean():.2%} on average, {outside.max():.2%} at most, "
        "and are left out of account"
    ]
    unlikely = sum(each.unlikely for each in good)
    if unlikely:
        notes.append(
            f"{unlikely:,} of {len(good):,} answers are not the most likely letter: what was "
            "answered is judged"
        )
    if failed:
        s = "s" if failed > 1 else ""
        notes.append(f"{failed:,} sample{s} left out that ended in an error of the run itself")
    if header.status not in ("success", ""):
        notes.append(f"the run did not end well: its status is {header.status!r}")
    documents = len({each.belief.document for each in good})
    if documents < len(good):
        notes.append(
            f"{len(good):,} answers to {documents:,} samples (epochs): each counts as a document of "
            "its own, so intervals are too narrow"
        )
    return (*notes, *_against(header.results, gathered))


def _against(results: Mapping[str, Any], gathered: Gathered) -> list[str]:
    """What the log itself says of accuracy, where ours is another."""
    beliefs = [each for each in gathered.kept if isinstance(each, LoggedBelief)]
    ours = sum(b.predicted in b.gold for b in beliefs) / len(beliefs)
    try:
        theirs = results["scores"][0]["metrics"]["accuracy"]["value"]
        differs = abs(theirs - ours) > 1e-9
    except (LookupError, TypeError):
        return []
    if not differs:
        return []
    return [
        f"acc is {ours:.4f} of the {len(beliefs):,} answers that were read; the log's own accuracy "
        f"is {theirs:.4f}, of the means of each sample's epochs, unreadable ones among them"
    ]


@malformed_is_bad
def _document(samples: Samples, row: int, sample: Mapping[str, Any]) -> LoggedDocument:
    p = samples.predictions
    if p.predicted is None or p.options is None or p.golds is None:
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")
    here = np.array([row])
    return LoggedDocument(
        doc_id=str(sample["id"]),
        prompt=_prompt(sample),
        options=tuple(options_of(sample)),
        probabilities=tuple(np.exp(p.options.take(here).values).tolist()),
        gold=tuple(np.flatnonzero(p.golds.take(here).values).tolist()),
        predicted=int(p.predicted[row]),
        confidence=float(p.confidence[row]),
    )


def _prompt(sample: Mapping[str, Any]) -> str:
    """What the user said: a text, or the texts of messages."""
    said = sample["input"]
    if isinstance(said, str):
        return said
    return "\n".join(_text(each["content"]) for each in said)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") == "text")
