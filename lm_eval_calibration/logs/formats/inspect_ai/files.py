"""Logs of inspect_ai as files: what they say of the run, and their samples one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.inspect_ai.members import opened, read_member
from lm_eval_calibration.logs.json_stream import BrokenJSONError, value_at, values
from lm_eval_calibration.redact import redact

ZIP, JSON = ".eval", ".json"
_FIRST = re.compile(
    rb'\s*\{\s*"version"\s*:\s*\d+\s*,\s*"status"\s*:\s*"\w+"\s*,\s*"eval"\s*:\s*\{'
)
_FIRST_BYTES = 200
_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d-]+(?:[+-]\d{2}-\d{2}|Z)?_(?P<task>.+)_[^_]+")
_HEADERS = ("header.json", "_journal/start.json")
_SAMPLES = "samples/"
_MORE = ("version", "status", "eval", "plan", "results", "stats", "error")


class Sample(NamedTuple):
    """One sample of a log: where it stands, the byte at which it begins, and it, or what is wrong."""

    place: str
    start: int
    value: Any


class Header(NamedTuple):
    """What a log says of its run: its `eval`, `results` and `status`; empty where it says nothing."""

    spec: Mapping[str, Any]
    results: Mapping[str, Any]
    status: str

    @property
    def model(self) -> str:
        """The model's name, "" for what is none."""
        found = self.spec.get("model")
        return found if isinstance(found, str) else ""

    @property
    def task(self) -> str:
        """The task with the arguments that it was given, without secrets: `mmlu(subject=anatomy)`."""
        name, given = self.spec.get("task"), self.spec.get("task_args_passed")
        if not isinstance(name, str):
            return ""
        listed = redact(given).items() if isinstance(given, Mapping) else ()
        arguments = ", ".join(f"{key}={value}" for key, value in listed)
        return redact(f"{name}({arguments})" if arguments else name)

    @property
    def date(self) -> str:
        """When the run began."""
        return str(self.spec.get("created") or "")


NO_HEADER = Header({}, {}, "")


def is_log(path: Path) -> bool:
    """Whether a file is a log of inspect_ai, by its name and first bytes."""
    if path.suffix == ZIP:
        return path.is_file()
    if path.suffix != JSON or not path.is_file():
        return False
    with path.open("rb") as file:
        return _FIRST.match(file.read(_FIRST_BYTES)) is not None


def log_file(path: Path) -> tuple[str, LogFile]:
    """The model of a log, and the log; by its name where it cannot be read."""
    try:
        header = header_of(path)
    except InvalidInputError:
        header = NO_HEADER
    named = _NAME.fullmatch(path.stem)
    task = header.task or (named["task"] if named else path.stem)
    return header.model, LogFile(task, header.date, path)


def header_of(path: Path) -> Header:
    """What a log says of its run; nothing where a `.json` has nothing before its samples.

    Raises:
        InvalidInputError: it cannot be read.
    """
    return _header(_zipped_header(path) if path.suffix == ZIP else _first_fields(path))


def samples_of(path: Path) -> Iterator[Sample]:
    """The samples of a log, in its order; of what is cut off those before it.

    Raises:
        InvalidInputError: no log.
    """
    return _zipped_samples(path) if path.suffix == ZIP else _listed_samples(path)


def sample_at(path: Path, start: int) -> Any:
    """The sample that begins at a byte.

    Raises:
        InvalidInputError: there is none any more.
    """
    if path.suffix != ZIP:
        return value_at(path, start)
    with opened(path) as archive:
        for member in archive.infolist():
            if member.header_offset == start:
                return json_text.loads(read_member(archive, member))
    raise InvalidInputError(f"{path} was changed since it was read.")


def _header(found: Any) -> Header:
    fields = found if isinstance(found, Mapping) else {}
    spec, results = (
        each if isinstance(each, Mapping) else {}
        for each in (fields.get("eval"), fields.get("results"))
    )
    return Header(spec, results, str(fields.get("status") or ""))


def _zipped_header(path: Path) -> Any:
    with opened(path) as archive:
        for name in _HEADERS:
            if name in archive.NameToInfo:
                try:
                    return json_text.loads(read_member(archive, archive.getinfo(name)))
                except InvalidInputError as error:
                    raise InvalidInputError(f"{path}, `{name}`: {error}") from None
    raise InvalidInputError(f"{path} is no log of inspect_ai: it holds no `{_HEADERS[0]}`.")


def _first_fields(path: Path) -> dict[str, Any]:
    found = {}
    for field, value, _ in values(path, "samples"):
        if field not in _MORE:
            break
        found[field] = value
    return found


def _zipped_samples(path: Path) -> Iterator[Sample]:
    with opened(path) as archive:
        for name, member in archive.NameToInfo.items():
            if not name.startswith(_SAMPLES) or not name.endswith(JSON):
                continue
            value: Any
            try:
                value = json_text.loads(read_member(archive, member))
            except InvalidInputError as error:
                value = BadLineError(str(error))
            yield Sample(f"`{name}`", member.header_offset, value)


def _listed_samples(path: Path) -> Iterator[Sample]:
    count = 0
    try:
        for field, value, start in values(path, "samples"):
            if field == "samples" and isinstance(value, Mapping):
                count += 1
                yield Sample(f"sample {count:,}", start, value)
    except BrokenJSONError as error:
        yield Sample(f"sample {count + 1:,}", 0, BadLineError(str(error)))
