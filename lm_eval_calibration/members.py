"""A family's members by name: ours, and those that other installed packages add by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.messages import logger

log = logger(__name__)
T = TypeVar("T")


class Members(Mapping[str, T]):
    """Names and members; what another package adds is loaded when somebody asks for it by name.

    Args:
        group: of entry points, e.g. `lm_eval_calibration.calibrators`; each is called by its
            member's name.
        ours: which win over others' of the same name.
        check: what is wrong with an object that claims to be a member, or "".
    """

    def __init__(self, group: str, ours: Iterable[T], check: Callable[[Any], str]) -> None:
        self._group, self._check = group, check
        self._loaded: dict[str, T] = {member.name: member for member in ours}  # type: ignore[attr-defined]
        self._others: dict[str, EntryPoint] | None = None

    def __getitem__(self, name: str) -> T:
        """The member.

        Raises:
            KeyError: there is none.
            InvalidInputError: another package's cannot be loaded, or is none.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(self._found()[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._loaded, *(name for name in self._found() if name not in self._loaded)])

    def __len__(self) -> int:
        return len(self._loaded.keys() | self._found().keys())

    def __contains__(self, name: object) -> bool:
        return name in self._loaded or name in self._found()

    def usable(self) -> Iterator[T]:
        """All that can be loaded; one warning for each that cannot."""
        for name in list(self):
            try:
                yield self[name]
            except InvalidInputError as error:
                log.warning("%s", error)

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
            self._others = {}
            for point in entry_points(group=self._group):
                if point.name in self._loaded or point.name in self._others:
                    log.warning("%s: the name is taken.", _about(point))
                else:
                    self._others[point.name] = point
        return self._others

    def _load(self, point: EntryPoint) -> T:
        try:
            found = point.load()
            wrong = self._check(found)
            if not wrong and found.name != point.name:
                wrong = f"its name is {found.name!r}"
        except Exception as error:  # noqa: BLE001 - whatever another package does
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            raise InvalidInputError(
                f"{_about(point)} cannot be used: {wrong}. Mend or uninstall that package."
            )
        member: T = found
        return member


def _about(point: EntryPoint) -> str:
    package = point.dist.name if point.dist is not None else "another package"
    return f"`{point.name}` of {package} ({point.value}, entry point `{point.group}`)"
