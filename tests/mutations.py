"""Valid things made wrong: JSON values, texts and bytes with something else in them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import CalibrationError

EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
"""How many cases of each test, as `make fuzz` has it; otherwise few, and always the same."""

fuzzing = settings(
    max_examples=int(EXAMPLES or 50),
    derandomize=EXAMPLES is None,
    deadline=2000 if EXAMPLES else None,
    suppress_health_check=list(HealthCheck),
    database=None,
)
LONG = st.builds(
    lambda part, times: part * times,
    st.sampled_from(["a", "-", "9", "[", '{"a":', "\n", "\x1b]0;", "\ud800", "é🙂", "=1+", "\x00"]),
    st.sampled_from([300, 5_000, 100_000]),
)
"""Texts that no drawing of characters comes to."""
RAW = st.sampled_from(
    [f"@raw {part} {times}" for part in ("[", "{", "9", "-9", "0.") for times in (90, 900, 200_000)]
)
"""What `written` puts into JSON as it is: nested lists and objects, and endless numbers."""
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**31, 2**63, 2**64, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | LONG
    | RAW
    | st.sampled_from(["", "NaN", "-inf", "1e999", "../x", "\x00", "\ud800", "🙂" * 3, "0", "1"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)
"""Any JSON."""


def written(value: Any) -> bytes:
    """A value as JSON, with what `RAW` stands for in it."""
    return re.sub(rb'"@raw (\S+) (\d+)"', _raw, json.dumps(value).encode())


def _raw(found: re.Match[bytes]) -> bytes:
    part, times = found[1], int(found[2])
    if part == b"[":
        return b"[" * times + b"]" * times
    if part == b"{":
        return b'{"a":' * times + b"1" + b"}" * times
    return part + part[-1:] * times


@contextmanager
def ours() -> Iterator[None]:
    """Nothing is raised but our own errors, and they say something."""
    try:
        yield
    except CalibrationError as error:
        if not str(error) or len(str(error)) > 2000:
            raise AssertionError("an error without a message, or with too much of one") from error


@st.composite
def changed(draw: st.DrawFn, value: Any, times: int = 2) -> Any:
    """A JSON value with up to `times` of its parts replaced, left out or added."""
    for _ in range(draw(st.integers(1, times))):
        value = _change(draw, value)
    return value


def _change(draw: st.DrawFn, value: Any) -> Any:
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(list(value)))
        what = draw(st.integers(0, 6))
        if what == 0:
            return {k: v for k, v in value.items() if k != key}
        if what == 1:
            return {**value, draw(st.text(max_size=4)): draw(VALUES)}
        return {**value, key: _change(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(value) - 1))
        what = draw(st.integers(0, 6))
        if what == 0:
            return value[:place] + value[place + 1 :]
        if what == 1:
            return [*value, draw(VALUES)]
        return [*value[:place], _change(draw, value[place]), *value[place + 1 :]]
    return draw(VALUES)


@st.composite
def broken(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with a stretch of them cut out, repeated or replaced."""
    start = draw(st.integers(0, len(whole)))
    stop = draw(st.integers(start, min(len(whole), start + 64)))
    middle = draw(st.binary(max_size=12) | st.just(b"") | st.just(whole[start:stop] * 2))
    end = draw(st.sampled_from([whole[stop:], b""]))
    return whole[:start] + middle + end
