"""What `--model_args` and YAML files give a constructor, checked by its annotations."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from lm_eval_calibration.errors import InvalidInputError, invalid, unknown_name

P = ParamSpec("P")
T = TypeVar("T")
EXPECTED = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
LARGEST = 1e18


def checked(init: Callable[P, None]) -> Callable[P, None]:
    """A constructor whose arguments of type str, int, float and bool are of these types.

    A folder may be called 2024 or be a path, and 1 is a number too: such values are converted.
    `None` passes where the annotation allows it; other types are left to the constructor.

    Raises:
        InvalidInputError: an argument of another kind, or a number that is not finite, or absurd.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checking(*args: P.args, **kwargs: P.kwargs) -> None:
        bound, hints = signature.bind(*args, **kwargs), _simple(init)
        for name in hints.keys() & bound.arguments.keys():
            bound.arguments[name] = _converted(name, bound.arguments[name], *hints[name])
        init(*bound.args, **bound.kwargs)

    return checking


@functools.cache
def _simple(init: Callable[..., None]) -> dict[str, tuple[type, bool]]:
    """Arguments with a simple type: it, and whether `None` will do."""
    found = {}
    for name, hint in typing.get_type_hints(init).items():
        parts = set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
        kinds = parts - {type(None)}
        if len(kinds) == 1 and (kind := kinds.pop()) in EXPECTED:
            found[name] = (kind, len(parts) > 1)
    return found


def _converted(name: str, value: Any, kind: type, optional: bool) -> Any:
    if value is None and optional:
        return None
    if kind is bool and value in (0, 1) and isinstance(value, (bool, int)):
        return bool(value)
    number = (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST
    )
    if kind is str and (isinstance(value, (str, os.PathLike)) or number):
        return str(value)
    if kind is int and number and value == int(value):
        return int(value)
    if kind is float and number:
        return float(value)
    raise invalid(name, EXPECTED[kind], repr(value))


def built(kind: Callable[..., T], told: Any) -> T:
    """What a constructor makes of the values that a file has for its arguments.

    Args:
        kind: a class whose constructor's simple arguments are annotated.
        told: a JSON object of all the arguments, or of those without a default.

    Raises:
        InvalidInputError: no object, an argument unknown, missing, or of another kind.
    """
    if not isinstance(told, dict):
        raise invalid(_last_word(kind), "an object of arguments", repr(told)[:80])
    known = inspect.signature(kind).parameters
    missing = [n for n, p in known.items() if p.default is p.empty and n not in told]
    odd = [*missing, *(name for name in told if name not in known)]
    if odd:
        raise invalid(_last_word(kind), f"of {', '.join(known)}", f"`{odd[0]}` missing or more")
    hints = _simple(kind.__init__)
    return kind(**{n: _converted(n, v, *hints[n]) if n in hints else v for n, v in told.items()})


def _last_word(kind: Callable[..., Any]) -> str:
    """What a class's objects are called: `settings` of `SwagSettings`."""
    return re.findall(r"[A-Z][a-z0-9]*", kind.__name__)[-1].lower()


def parameters(model: type) -> dict[str, inspect.Parameter]:
    """Of a class's constructor and those that it inherits, the nearest last."""
    found: dict[str, inspect.Parameter] = {}
    for kind in reversed(model.__mro__[:-1]):
        found |= inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    return found


def refuse_unknown(outer: type, base: str, inner: type, given: dict[str, Any]) -> None:
    """Stop on arguments that neither a wrapper nor the model inside takes.

    Where the model takes any (as `hf` does, for transformers), only those that look like one of the
    wrapper's, misspelt.

    Raises:
        UnknownNameError: there is one.
    """
    mine, theirs = parameters(outer), parameters(inner)
    takes_any = inspect.Parameter.VAR_KEYWORD in {
        p.kind
        for p in inspect.signature(inner.__init__).parameters.values()  # type: ignore[misc]
    }
    named = [
        p.name for p in {**mine, **theirs}.values()
        if p.name not in ("self", "" if base else "base")
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]  # fmt: skip
    of = f" with base=`{base}`" if base else ""
    for name in given:
        if name in theirs or (takes_any and not _near(name, mine)):
            continue
        raise unknown_name(f"argument of `{outer.__name__}`{of}:", name, named)


def missing(name: str, expected: str, given: Mapping[str, Any]) -> InvalidInputError:
    """The error for an argument that was not given; or was, under a name that is almost its own."""
    near = difflib.get_close_matches(name, list(given), n=1, cutoff=0.8)
    hint = f"There is `{near[0]}`: did you mean `{name}`?" if near else ""
    return invalid(name, expected, "nothing", hint)


def _near(name: str, known: typing.Iterable[str]) -> bool:
    return bool(difflib.get_close_matches(name, list(known), n=1, cutoff=0.8))
