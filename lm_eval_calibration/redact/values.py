"""Values in memory without their secrets: mappings and lists, however deep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

from lm_eval_calibration.redact.redactor import Redactor, SecretPlace

T = TypeVar("T")


def redact(value: T, known: Iterable[str] = (), place: SecretPlace | None = None) -> T:
    """A copy of a value without its secrets.

    Secret is what stands under a telling name (`api_key`, `authorization`), has the shape of a
    credential (`sk-...`, `Bearer ...`, `user:password@`), or equals a secret that stands elsewhere in
    the value. Texts are prose, addresses, model arguments or JSON alike.

    Args:
        value: mappings, lists, tuples, sets, texts, numbers; other things stay as they are.
        known: further secrets to look for, as of `secrets_in`.
        place: where the value stands, if its names say less or more than usual.

    >>> redact({"model": "m", "api_key": "abc", "base_url": "http://me:pw@host/v1"})
    {'model': 'm', 'api_key': '[redacted]', 'base_url': 'http://[redacted]@host/v1'}
    """
    every = {*known, *secrets_in(value, place=place)}
    return walked(value, Redactor(every), place)


def secrets_in(*values: Any, place: SecretPlace | None = None) -> frozenset[str]:
    """The secrets that values hold under telling names or in telling shapes."""
    redactor = Redactor()
    for value in values:
        walked(value, redactor, place)
    return frozenset(redactor.seen)


def walked(value: Any, redactor: Redactor, place: SecretPlace | None = None) -> Any:
    """A copy of a value, each text and number of which a redactor has seen.

    Nothing is called for each level of nesting, and what holds itself is copied so.
    """
    top: list[Any] = [None]
    waiting: list[tuple[Any, SecretPlace, Any, Any]] = [(value, place or SecretPlace(), top, 0)]
    made: dict[
        tuple[int, SecretPlace], tuple[Any, Any]
    ] = {}  # (sources are kept, and with them their ids)
    to_freeze: list[tuple[Any, Any, type]] = []
    while waiting:
        source, here, target, slot = waiting.pop()
        if isinstance(source, (Mapping, list, tuple, set, frozenset)):
            if (id(source), here) in made:
                target[slot] = made[id(source), here][1]
                continue
            new, inner = _opened(source, here, redactor)
            target[slot] = new
            waiting += [(item, its, new, at) for at, item, its in inner]
            if isinstance(source, (Mapping, list)):
                made[id(source), here] = source, new
            else:
                to_freeze.append((target, slot, type(source)))
        elif isinstance(source, PurePath):
            text = redactor.leaf(str(source), here)
            target[slot] = source if text == str(source) else text
        else:
            target[slot] = redactor.leaf(source, here)
    for target, slot, kind in reversed(to_freeze):  # the innermost first
        target[slot] = _frozen(target[slot], kind)
    return top[0]


def _opened(
    source: Any, here: SecretPlace, redactor: Redactor
) -> tuple[Any, list[tuple[Any, Any, SecretPlace]]]:
    """An empty copy of a container, and what goes into it: slot, value, place."""
    if not isinstance(source, Mapping):
        items = list(source)
        return [None] * len(items), [(i, item, here) for i, item in enumerate(items)]
    new: dict[Any, Any] = {}
    inner = []
    for key, item in source.items():
        name = redactor.text(key, here.data) if isinstance(key, str) else key
        number = 2
        while name in new:
            name, number = f"{redactor.text(str(key), here.data)} ({number})", number + 1
        new[name] = None
        inner.append((name, item, here.under(name) if isinstance(key, str) else here))
    return new, inner


def _frozen(items: list[Any], kind: type) -> Any:
    if issubclass(kind, tuple):
        return kind(*items) if hasattr(kind, "_fields") else tuple(items)
    return frozenset(items) if issubclass(kind, frozenset) else set(items)
