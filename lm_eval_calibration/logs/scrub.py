"""A copy of a run's files without the secrets of its configuration, else the same to the bit."""

from __future__ import annotations

import codecs
import contextlib
import functools
import io
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import write_folder
from lm_eval_calibration.json_text import InvalidJSONError, loads
from lm_eval_calibration.logs.secret_places import LINE, RESULTS
from lm_eval_calibration.redact import Redactor, SecretPlace, redact, secrets_in
from lm_eval_calibration.redact.json_spans import NotJSON, without_secrets
from lm_eval_calibration.redact.keys import Grade, grade, holds_headers
from lm_eval_calibration.redact.known import Known

_DATE = r"\d{4}-\d{2}-\d{2}T[\d.:-]+"
_SAMPLES = re.compile(rf"samples_.+_{_DATE}\.jsonl?")
_RESULTS = re.compile(rf".+_{_DATE}\.json|results.*\.json")
_AFTER_NAME = re.compile(rb'\\{0,8}"\s*:')
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Scrubbed:
    """What became of a run.

    Attributes:
        folder: the copy.
        found: of each file of the copy, how many secrets of each kind were taken out.
        left_out: files that are neither results nor samples, and were not copied.
    """

    folder: Path
    found: dict[Path, Counter[str]]
    left_out: list[Path] = field(default_factory=list)


def default_output(run: Path) -> Path:
    """Where the copy goes unless somebody says so: beside the run."""
    whole = run.resolve()
    return whole.with_name(f"{whole.name}-scrubbed")


def files_of(run: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """A run's results, its samples, and what else lies in its folder, at any depth.

    Raises:
        InvalidInputError: there is no such folder, or nothing of the harness's in it.
    """
    if not os.path.isdir(run):
        raise InvalidInputError(f"{run} is no folder of a run of `lm_eval --output_path`.")
    there = sorted(path for path in run.rglob("*") if not path.is_dir())
    plain = [path for path in there if path.is_file()]
    samples = [path for path in plain if _SAMPLES.fullmatch(path.name)]
    results = [p for p in plain if p not in set(samples) and _RESULTS.fullmatch(p.name)]
    if not samples and not results:
        raise InvalidInputError(
            f"{run} holds no results_<date>.json and no samples_<task>_<date>.jsonl."
        )
    return results, samples, [path for path in there if path not in {*results, *samples}]


def scrub(
    run: Path, output: Path, more: Iterable[str] = (), progress: Progress | None = None
) -> Scrubbed:
    """Copy a run's results and samples, without its secrets, to a folder that does not exist.

    Secret in results is what has a telling name or shape; in samples that in settings of requests,
    and whatever is secret in the results wherever it stands. Documents' own texts stay.

    Args:
        run: the folder; it is read, and nothing else.
        output: the copy; it is there whole or not at all.
        more: secrets to look for beside those of the results, as of the environment.
        progress: called with the number of bytes read since the last call.

    Raises:
        InvalidInputError: nothing to copy, or a place for the copy inside the run.
        OutputError: something stands there, or the place cannot be written to.
    """
    results, samples, others = files_of(run)
    where = output.resolve()
    if where.is_relative_to(run.resolve()):
        raise InvalidInputError(f"--output {output} lies inside the run, which stays as it is.")
    known = frozenset(more).union(*(_secrets(path) for path in results))
    found: dict[Path, Counter[str]] = {}

    def fill(folder: Path) -> None:
        folder.mkdir()
        found.update(_copy(run, folder, results, samples, known, progress))

    write_folder(output, fill)
    return Scrubbed(where, found, others)


def _copy(
    run: Path,
    folder: Path,
    results: list[Path],
    samples: list[Path],
    known: frozenset[str],
    progress: Progress | None,
) -> dict[Path, Counter[str]]:
    found: dict[Path, Counter[str]] = {}
    for path in [*results, *samples]:
        redactor = Redactor(known)
        place, whole = (RESULTS, True) if path in results else (LINE, False)
        name = _free(_named(path.relative_to(run), known), found)
        lines = _without(path, redactor, place, whole, Known(known), progress)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("xb") as file:
            file.writelines(lines)
        found[name] = redactor.found
    return found


def _without(
    path: Path,
    redactor: Redactor,
    place: SecretPlace,
    whole: bool,
    known: Known,
    progress: Progress | None,
) -> Iterator[bytes]:
    """A file's lines, or all of it at once, without secrets; held in memory one by one."""
    with _opened(path) as (file, encoding):
        for line in [file.read()] if whole else file:
            if whole or known.stands_in(line) or _tells(line):
                yield _encoded(_cleaned(line, redactor, place), encoding)
            else:
                yield _encoded(line, encoding)
            if progress is not None:
                progress(len(line))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A file's bytes in UTF-8, and the encoding that it has.

    Raises:
        InvalidInputError: it is in UTF-16 or UTF-32, by its first bytes, and then in nothing.
    """
    with path.open("rb") as file:
        head = file.read(4)
        encoding: str = json.detect_encoding(head)
        file.seek(0)
        if encoding.startswith("utf-8"):
            yield file, "utf-8"
            return
        if encoding in ("utf-16", "utf-32"):  # (with a mark, which is kept)
            encoding += "-le" if head[:2] == codecs.BOM_UTF16_LE else "-be"
        try:
            text = file.read().decode(encoding, "surrogatepass")
        except UnicodeDecodeError as error:
            raise InvalidInputError(
                f"{path} is no text ({error}). Move it out of the run."
            ) from None
        yield io.BytesIO(text.encode("utf-8", "surrogatepass")), encoding


def _encoded(line: bytes, encoding: str) -> bytes:
    if encoding == "utf-8":
        return line
    return line.decode("utf-8", "surrogatepass").encode(encoding, "surrogatepass")


def _tells(line: bytes) -> bool:
    """Whether a line has a field of a telling name; one without is copied as it is."""
    return any(
        _is_telling(line[max(0, match.start() - 80) : match.start()].rpartition(b'"')[2])
        for match in _AFTER_NAME.finditer(line)
    )


@functools.lru_cache(4096)
def _is_telling(name: bytes) -> bool:
    text = name.decode("utf-8", "replace")
    return grade(text) is not Grade.NONE or holds_headers(text)


def _cleaned(line: bytes, redactor: Redactor, place: SecretPlace) -> bytes:
    mark = codecs.BOM_UTF8 if line.startswith(codecs.BOM_UTF8) else b""
    text = line[len(mark) :].decode("utf-8", "surrogateescape")
    try:
        text = without_secrets(text, redactor, place)
    except NotJSON:  # cut off, or no JSON at all
        text = redactor.text(text, place.data)
    return mark + text.encode("utf-8", "surrogateescape")


def _secrets(path: Path) -> frozenset[str]:
    """Of a results file; of its text, if it is no JSON that can be held."""
    with _opened(path) as (file, _):
        text = file.read()
    try:
        return secrets_in(loads(text), place=RESULTS)
    except InvalidJSONError:
        redactor = Redactor()
        _cleaned(text, redactor, RESULTS)
        return frozenset(redactor.seen)


def _named(path: Path, known: frozenset[str]) -> Path:
    """A path whose parts tell no secret (a folder is called by its model)."""
    return Path(*(redact(part, known).replace("[redacted]", "redacted") for part in path.parts))


def _free(path: Path, taken: Iterable[Path]) -> Path:
    """The path, with a number if there is such a file already."""
    stem, number = path, 2
    while path in set(taken):
        path, number = stem.with_name(f"{number}-{stem.name}"), number + 1
    return path
