"""The lines of a samples file: every reader of one goes through them here, by the same rules.

Blank lines are no documents. Lines of another filter are counted. A line that cannot be read, or of which
a reader cannot make what it wants, is kept with its number: it is an error, or left out and counted, and
never changes how the other lines are read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad
from lm_eval_calibration.logs.formats.harness.files import filter_mark, has_filter, other_filters
from lm_eval_calibration.logs.formats.harness.line import LoggedLine, parse

PROBED_LINES = 200
Bad = list[tuple[int, str]]
"""(line number, what is wrong with it)."""
Sample = dict[str, Any]
T = TypeVar("T")


class LinePlace(NamedTuple):
    """Where a line stands: its number, from 1 at the range's first, and the byte it begins at."""

    number: int
    offset: int


@dataclass
class LeftOut:
    """What was not read.

    Attributes:
        lines: in all, blank ones included.
        bad: those that cannot be read.
        others: lines of other filters, by the filter's name.
    """

    lines: int = 0
    bad: Bad = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    def check(self, file: Path, skip_bad: bool) -> None:
        """Raises `InvalidInputError` if there are bad lines that are not to be left out."""
        if self.bad and not skip_bad:
            raise refusal(file, self.bad)

    def notes(self, filter_name: str | None) -> tuple[str, ...]:
        """What a reader must know of it."""
        if not self.bad:
            return other_filters(filter_name, self.others)
        number, what = self.bad[0]
        s = "s" if len(self.bad) > 1 else ""
        left_out = f"{len(self.bad):,} line{s} left out, the first of them line {number}: {what}"
        return (left_out, *other_filters(filter_name, self.others))


def refusal(file: Path, bad: Bad) -> InvalidInputError:
    """The error of a file with bad lines."""
    number, what = bad[0]
    s = "s" if len(bad) > 2 else ""
    more = f" {len(bad) - 1:,} more line{s} cannot be read." if len(bad) > 1 else ""
    return InvalidInputError(
        f"{file}, line {number}: {what}.{more} --skip-bad (in Python `skip_bad=True`) leaves such "
        "lines out and counts them."
    )


def lines_of(path: Path, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """(offset, line) of every line that begins in [start, stop), or from `start` on."""
    with path.open("rb") as file:
        position = start
        if start:
            file.seek(start - 1)
            position = start - 1 + len(file.readline())  # the line that began before is not ours
        for line in file:
            if stop is not None and position >= stop:
                return
            yield position, line
            position += len(line)


def documents(
    path: Path,
    filter_name: str | None,
    read: Callable[[Sample], T],
    left_out: LeftOut,
    start: int = 0,
    stop: int | None = None,
    parsed: Mapping[int, Sample] = MappingProxyType({}),
) -> Iterator[tuple[LinePlace, T]]:
    """What `read` makes of each line under a filter.

    Args:
        path: a samples file.
        filter_name: whose lines are read; `None` for those that name none.
        read: of one line; what it stumbles over makes the line a bad one.
        left_out: gathers all that is not read.
        start: first byte.
        stop: byte after the last at which a line may begin.
        parsed: lines that were parsed before, by their numbers in this range.
    """
    careful = malformed_is_bad(read)
    for number, (offset, line) in enumerate(lines_of(path, start, stop), start=1):
        left_out.lines = number
        if not line.strip():
            continue
        try:
            sample = parsed[number] if number in parsed else parse(line)
            if sample.get("filter") != filter_name:
                left_out.others[str(sample.get("filter"))] += 1
                continue
            found = careful(sample)
        except BadLineError as error:
            left_out.bad.append((number, str(error)))
        else:
            yield LinePlace(number, offset), found


def again(path: Path, offsets: Iterable[Any]) -> Iterator[Sample]:
    """The lines that begin at some bytes, which were read before.

    Raises:
        InvalidInputError: the file is gone, or holds other lines now.
    """
    try:
        with path.open("rb") as file:
            for offset in offsets:
                file.seek(int(offset))
                yield parse(file.readline())
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read again: {error}.") from None
    except BadLineError as error:
        raise InvalidInputError(f"{path} was changed since it was read: {error}.") from None


class Probed(NamedTuple):
    """A file's first lines, with their numbers: those of the filter that is read, and bad ones."""

    parsed: list[tuple[int, Sample]]
    bad: Bad
    filter_name: str | None


def probe(file: Path, wanted: str | None = None) -> Probed:
    """The first lines of a file that can be parsed, and by which filter it is read.

    Args:
        file: a samples file.
        wanted: the filter, if some line names it; else the first one of the file.
    """
    mark = filter_mark(wanted) if wanted is not None and has_filter(file, wanted) else b""
    parsed: list[tuple[int, Sample]] = []
    bad: Bad = []
    for number, (_, line) in enumerate(lines_of(file), start=1):
        if not line.strip() or mark not in line:
            continue
        try:
            parsed.append((number, LoggedLine(parse(line))))
        except BadLineError as error:
            bad.append((number, str(error)))
        if len(parsed) == PROBED_LINES:
            break
    name = wanted if mark else _first_filter([sample for _, sample in parsed])
    mine = [(number, sample) for number, sample in parsed if sample.get("filter") == name]
    return Probed(mine, bad, name)


def _first_filter(samples: Sequence[Sample]) -> str | None:
    """The first filter that is not a few lines' alone: every filter has a line of every document."""
    count = Counter(sample.get("filter") for sample in samples)
    most = max(count.values(), default=0)
    return next((name for name, lines in count.items() if 2 * lines >= most), None)
