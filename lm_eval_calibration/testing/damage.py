"""What every format obeys when a file is cut off, or full of something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.logs.contract import AskedOfLogs, LogFormat
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.runs import find_runs, read_found
from lm_eval_calibration.testing.laws import holds

CUTS = (0.0, 0.1, 0.5, 0.97)
"""How much of a file is left when it is cut off, about."""
Whole = Mapping[tuple[str, str], Samples]
"""What was read of an undamaged file, by run and task."""


class Damage(NamedTuple):
    """What became of a file, in words, and what is in it now."""

    done: str
    data: bytes


def bears_damage(format_: LogFormat, folder: Path, runs: Sequence[Run]) -> None:
    """A file that is cut off, or full of something else, is refused by name; nothing is read amiss."""
    for path, whole in _by_path(runs).items():
        data = path.read_bytes()
        for damage in _damages(data):
            path.write_bytes(damage.data)
            for skip_bad in (False, True):
                how = f"{path.name}, {damage.done}, skip_bad={skip_bad}"
                try:
                    _bears(format_, folder, path, whole, skip_bad, how)
                except (AssertionError, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    raise AssertionError(
                        f"a damaged file must be an InvalidInputError, got {error!r} of {how}"
                    ) from error
        path.write_bytes(data)


def _by_path(runs: Sequence[Run]) -> dict[Path, dict[tuple[str, str], Samples]]:
    found: dict[Path, dict[tuple[str, str], Samples]] = {}
    for run in runs:
        for task, samples in run.samples.items():
            found.setdefault(samples.path, {})[run.label, task] = samples
    return found


def _damages(data: bytes) -> Iterator[Damage]:
    for share in CUTS:
        size = _inside_a_line(data, int(len(data) * share))
        yield Damage(f"cut at byte {size:,} of {len(data):,}", data[:size])
    yield Damage("full of zeros", bytes(len(data)))
    yield Damage("full of bytes 0xff", b"\xff" * 100)


def _inside_a_line(data: bytes, size: int) -> int:
    """A place near another at which a cut leaves the beginning of a row: nobody sees one at its end."""
    start = data.rfind(b"\n", 0, size) + 1
    if not start:
        return size
    while start < len(data) and data[start : start + 1].isspace():
        start += 1
    return start + 1 if start + 1 < len(data) else size


def _bears(
    format_: LogFormat, folder: Path, path: Path, whole: Whole, skip_bad: bool, how: str
) -> None:
    try:
        found = find_runs([folder], formats=[format_])
    except CalibrationError as error:
        holds(len(str(error).splitlines()) == 1, f"an error must be one line, got {error} of {how}")
        return
    try:
        runs, left_out = read_found(found, AskedOfLogs(skip_bad), formats=[format_])
    except CalibrationError as error:
        named = path.name in str(error) and len(str(error).splitlines()) == 1
        holds(named, f"an error must be one line that names the file, got {str(error)!r} of {how}")
        return
    left = _by_path(runs).get(path, {})
    before = {note for samples in whole.values() for note in samples.notes}
    if left_out or any(note not in before for s in left.values() for note in s.notes):
        return
    if any(file.path == path for one in found for file in one.files.values()):
        for (run, task), samples in whole.items():
            count = len(left.get((run, task), ()))
            holds(
                count == len(samples),
                f"what is left out must be an error, or with `skip_bad` be said in `notes`: of {task} in "
                f"{run}, {count} of {len(samples)} documents were read, and nothing was said, of {how}",
            )
