"""JSON files of any size, value by value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import json_stream
from lm_eval_calibration.logs.json_stream import BrokenJSONError, value_at, values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "log.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return path


@given(
    st.lists(JSON, max_size=5), st.dictionaries(st.text(), JSON, max_size=4),
    st.sampled_from([None, 1]), st.integers(1, 40), st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_it_is_what_json_reads_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory,
    items: list[Any],
    more: dict[str, Any],
    indent: int | None,
    piece: int,
    ascii_only: bool,
) -> None:
    found = {**more, "items": items}
    text = json.dumps(found, indent=indent, ensure_ascii=ascii_only)
    path = written(tmp_path_factory.mktemp("json"), text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "PIECE", piece)
        read = list(values(path, "items"))
        assert [v.value for v in read if v.field == "items"] == items
        assert {v.field: v.value for v in read if v.field != "items"} == {
            k: v for k, v in more.items() if k != "items"
        }
        for each in read:
            assert value_at(path, each.start) == each.value
        path.write_text(json.dumps(items, indent=indent))
        assert [v.value for v in values(path)] == items


@pytest.mark.parametrize(
    ("text", "count", "why"),
    [
        ("", 0, "byte 0: the file is empty"),
        ('{"a": [{"b": 1}, {"b": 2', 1, "byte 17: the file is cut off"),
        ('{"a": [{"b": 1}, {"b": "x', 1, "the file is cut off"),
        ('{"a": [1, 2', 2, "the file is cut off"),
        ('{"a": [1 2]}', 1, "expecting a comma"),
        ('{"a": [{"b" 1}, ' + '"long", ' * 9 + "1]}", 0, "not JSON (Expecting ':' delimiter)"),
        ('{"a": [1]} more', 1, "more follows after its end"),
        ("nothing", 0, "expecting an object or a list"),
        ("{1: 2}", 0, "a field has no name"),
        ('{"a": [' + "9" * 5000 + "]}", 0, "digits"),
        ('{"a": [' + "[" * 100_000, 0, ""),
        (b'{"a": [1, "\xff"]}' + b" " * 100, 0, "not UTF-8"),
    ],
)
def test_what_is_broken(tmp_path: Path, text: str | bytes, count: int, why: str) -> None:
    path = written(tmp_path, text)
    read: list[Any] = []
    with pytest.raises(BrokenJSONError) as caught:
        read.extend(each for each in _kept(values(path, "a"), read))
    assert str(path) in str(caught.value) and why in str(caught.value)
    assert len(read) == count


def _kept(found: Any, read: list[Any]) -> Any:
    for each in found:
        read.append(each)
    return ()


def test_memory_is_that_of_a_value(tmp_path: Path) -> None:
    import tracemalloc

    item = json.dumps({"text": "x" * 100_000})
    path = tmp_path / "large.json"
    with path.open("w") as file:
        file.write('{"head": 1, "items": [')
        for i in range(400):
            file.write(("," if i else "") + item)
        file.write("]}")
    tracemalloc.start()
    assert sum(1 for _ in values(path, "items")) == 401
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * json_stream.PIECE < path.stat().st_size


def test_a_value_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "PIECE", 8)
    monkeypatch.setattr(json_stream, "LARGEST", 100)
    path = written(tmp_path, json.dumps({"a": ["x" * 1000]}))
    with pytest.raises(BrokenJSONError, match="a value of more than 100 characters"):
        list(values(path, "a"))


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read again"):
        value_at(tmp_path / "gone.json", 0)
