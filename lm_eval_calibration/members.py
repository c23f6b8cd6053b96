"""A family's members by name: ours, and those that other installed packages add by an entry point."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, NamedTuple, TypeVar

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.messages import logger

log = logger(__name__)
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)


class BrokenMemberError(InvalidInputError):
    """What another package adds cannot be loaded, or fails where it should not."""


class Members(Mapping[str, T]):
    """Names and members; what another package adds is loaded when somebody asks for it by name.

    Args:
        group: of entry points, e.g. `lm_eval_calibration.calibrators`; each is called by its
            member's name.
        ours: which win over others' of the same name.
        check: what is wrong with an object that claims to be a member, or "".
        guard: makes of another package's member, and of what is said of it, one that fails with
            `BrokenMemberError`s.
    """

    def __init__(
        self,
        group: str,
        ours: Iterable[T],
        check: Callable[[Any], str],
        guard: Callable[[T, str], T] = lambda member, about: member,
    ) -> None:
        self._group, self._check, self._guard = group, check, guard
        self._ours: dict[str, T] = {member.name: member for member in ours}  # type: ignore[attr-defined]
        self._loaded = dict(self._ours)
        self._others: dict[str, EntryPoint] | None = None
        self._broken: dict[str, BrokenMemberError] = {}

    def __getitem__(self, name: str) -> T:
        """The member.

        Raises:
            KeyError: there is none.
            BrokenMemberError: another package's cannot be loaded, or is none.
        """
        if name in self._broken:
            raise self._broken[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(self._found()[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._loaded, *(name for name in self._found() if name not in self._loaded)])

    def __len__(self) -> int:
        return len(self._loaded.keys() | self._found().keys())

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._found()

    def __repr__(self) -> str:
        return f"<{len(self)} members: {', '.join(self)}>"

    def usable(self) -> Iterator[T]:
        """All that can be loaded; one warning, ever, for each that cannot."""
        for name in list(self):
            known = name in self._broken
            try:
                yield self[name]
            except BrokenMemberError as error:
                if not known:
                    log.warning("%s", error)

    def package(self, name: str) -> str:
        """The package that adds a member; "" for ours."""
        if name in self._ours or name not in self._found():
            return ""
        return package_of(self._found()[name])

    def taken(self, member: T) -> bool:
        """Whether its name is that of one of ours, which it is not."""
        ours = self._ours.get(member.name)  # type: ignore[attr-defined]
        return ours is not None and ours is not member

    @contextmanager
    def added(self, member: T) -> Iterator[None]:
        """Have one member more, or another of the same name, for as long as the context lasts."""
        name: str = member.name  # type: ignore[attr-defined]
        before = dict(self._loaded)
        self._loaded[name] = member
        try:
            yield
        finally:
            self._loaded = before

    def _found(self) -> dict[str, EntryPoint]:
        if self._others is None:
            self._others, ignored = points(self._group, self._ours)
            for why in ignored:
                log.warning("%s", why)
        return self._others

    def _load(self, point: EntryPoint) -> T:
        try:
            found = point.load()
            wrong = self._check(found)
            if not wrong and found.name != point.name:
                wrong = f"its name is {found.name!r}"
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever another package does, exits too
            wrong = _in_a_line(error)
        if wrong:
            self._broken[point.name] = BrokenMemberError(
                f"{_about(point)} cannot be used: {wrong}. Mend or uninstall that package."
            )
            raise self._broken[point.name]
        member: T = found
        return self._guard(member, _about(point))


class Points(NamedTuple):
    """Entry points by name, and why others were ignored."""

    kept: dict[str, EntryPoint]
    ignored: list[str]


def points(group: str, ours: Collection[str], *, but_of: str = "") -> Points:
    """The entry points of a group: of each name the first, none of a name of ours, none of one package."""
    found = Points({}, [])
    for point in entry_points(group=group):
        if package_of(point) == but_of:
            continue
        if point.name in ours:
            found.ignored.append(f"{_about(point)} is ignored: the name is taken by one of ours.")
        elif point.name in found.kept:
            first = package_of(found.kept[point.name])
            found.ignored.append(f"{_about(point)} is ignored: the name is taken by {first}.")
        else:
            found.kept[point.name] = point
    return found


def package_of(point: EntryPoint) -> str:
    """The name of the package that an entry point is of."""
    return point.dist.name if point.dist is not None else "another package"


def _about(point: EntryPoint) -> str:
    return f"`{point.name}` of {package_of(point)} ({point.value}, entry point `{point.group}`)"


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def wrong_name(name: Any) -> str:
    """Why nobody could name a member so; "" if it can be.

    >>> wrong_name("scores-json"), wrong_name("")
    ('', "its name must be letters, digits, `_`, `-` and `.`, got ''")
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return ""
    return f"its name must be letters, digits, `_`, `-` and `.`, got {name!r}"


@dataclass(frozen=True)
class Guarded:
    """A function of another package: what it raises names that package."""

    function: Callable[..., Any]
    about: str
    doing: str

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with blaming(self.about, self.doing):
            return self.function(*arguments, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        """That of the function."""
        return inspect.signature(self.function)


@contextmanager
def blaming(about: str, doing: str) -> Iterator[None]:
    """Say of what is raised that another package's member did so; our own errors pass.

    Args:
        about: the member.
        doing: what it was asked to do, e.g. `fit`.

    Raises:
        BrokenMemberError: something else than an error of ours was raised.
    """
    try:
        yield
    except (CalibrationError, KeyboardInterrupt, GeneratorExit, MemoryError):
        raise
    except BaseException as error:
        raise BrokenMemberError(
            f"{about} failed to {doing}: {_in_a_line(error)}. Tell its authors."
        ) from error
