"""Cache files that hold anything: what is an answer comes back as it is, and nothing else does."""

from __future__ import annotations

import json
import math
import pickle
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import LONG, VALUES, broken, changed, fuzzing, ours, written

from lm_eval_calibration.harness.api import rolling_answer
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD, ROLLING
from lm_eval_calibration.models.shared.answers import checked
from lm_eval_calibration.models.shared.kept import HARNESS, OURS, Kept

KINDS = st.sampled_from([GENERATE, LOGLIKELIHOOD, ROLLING])
NUMBERS = st.floats(max_value=0, allow_nan=False) | st.just(-math.inf)
TEXTS = st.text() | LONG.filter(lambda text: "\ud800" not in text)
GOOD = (
    st.tuples(st.just(GENERATE), TEXTS)
    | st.tuples(st.just(LOGLIKELIHOOD), st.tuples(NUMBERS, st.booleans()))
    | st.tuples(st.just(ROLLING), NUMBERS.map(rolling_answer))
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=4,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A cache with an answer of each kind in the harness's table."""
    file = tmp_path / "cache.db"
    rows = sqlite3.connect(file)
    rows.execute(f"CREATE TABLE {HARNESS} (key TEXT PRIMARY KEY, value BLOB)")
    rows.commit()
    rows.close()
    return file


def put(path: Path, table: str, value: Any) -> None:
    """Have the row `key` of a table be a value, whatever was there."""
    Kept(path)  # (makes our table)
    rows = sqlite3.connect(path)
    for each in (HARNESS, OURS):
        rows.execute(f"DELETE FROM {each}")
    rows.execute(f"INSERT INTO {table} VALUES ('key', ?)", (value,))
    rows.commit()
    rows.close()


def test_nothing_good_is_refused(path: Path) -> None:
    @given(GOOD, st.booleans())
    @fuzzing
    def run(good: tuple[str, Any], of_harness: bool) -> None:
        kind, answer = good
        if of_harness:
            put(path, HARNESS, pickle.dumps(answer))
        else:
            put(path, OURS, json.dumps(answer, ensure_ascii=False).encode())
        kept = Kept(path)
        assert kept.get("key", kind) == answer and not kept.unusable
        kept.put("other", answer)
        assert Kept(path).get("other", kind) == answer

    run()


def test_rows_that_lie(path: Path) -> None:
    """Any value of SQLite, any JSON, any pickle of plain values."""
    rows = (
        st.tuples(st.just(OURS), VALUES.map(written))
        | st.tuples(st.just(OURS), changed([-1.5, True], times=3).map(written))
        | st.tuples(st.just(OURS), broken(b"[-1.5, true]"))
        | st.tuples(st.just(HARNESS), PLAIN.map(pickle.dumps))
        | st.tuples(st.just(HARNESS), broken(pickle.dumps((-1.5, True))))
        | st.tuples(st.sampled_from([OURS, HARNESS]), st.none() | st.integers(-9, 9) | st.floats())
        | st.tuples(st.sampled_from([OURS, HARNESS]), st.text(max_size=9).filter(str.isascii))
    )

    @given(rows, KINDS)
    @fuzzing
    def run(row: tuple[str, Any], kind: str) -> None:
        put(path, *row)
        found = Kept(path).get("key", kind)
        assert found is None or checked(kind, found) == found

    run()


def test_files_that_are_damaged(path: Path) -> None:
    put(path, OURS, b"[-1.5, true]")
    whole = path.read_bytes()

    @given(broken(whole))
    @fuzzing
    def run(content: bytes) -> None:
        path.write_bytes(content)
        with ours():
            kept = Kept(path)
            found = kept.get("key", LOGLIKELIHOOD)
            assert found is None or checked(LOGLIKELIHOOD, found) == found
            kept.put("key", (-2.5, False))

    run()
