"""An answer key names options, letters or numbers; from where numbers count is evidence, or an error."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables.gold import golds

LETTERS = ("A", "B", "C", "D")


def places(
    cells: list[str], names: tuple[str, ...] = LETTERS, first: int | None = None
) -> list[int]:
    return golds("key", cells, [names] * len(cells), first).positions.tolist()


@given(st.lists(st.integers(0, 3), min_size=1))
def test_all_writings_of_one_key_are_alike(right: list[int]) -> None:
    written = {
        "letters": places([LETTERS[g] for g in right]),
        "small ones": places([LETTERS[g].lower() for g in right]),
        "from 0": places([str(g) for g in [*right, 0]])[:-1],
        "from 1": places([f"{g + 1}.0" for g in [*right, 3]])[:-1],
        "said to be from 0": places([str(g) for g in right], first=0),
        "said to be from 1": places([str(g + 1) for g in right], first=1),
        "other names": places([LETTERS[g] for g in right], ("ww", "xx", "yy", "zz")),
        "in brackets": places([f"({LETTERS[g]})" for g in right], ("ww", "xx", "yy", "zz")),
    }
    assert all(found == right for found in written.values()), written


@pytest.mark.parametrize(
    ("cells", "names", "found"),
    [
        (["yes", "No"], ("yes", "no"), [0, 1]),
        (["a", "A"], ("A", "a"), [1, 0]),
        (["0", "2"], ("0", "1", "2"), [0, 2]),
        (["1", "4"], ("1", "2", "3", "4"), [0, 3]),
        (["0", "2"], ("1", "2", "3", "4"), [0, 2]),  # 0 is no name
        (["B", "A"], ("B", "A"), [0, 1]),
        (["A", "E", ""], LETTERS, [0, -1, -1]),
        (["0", "4"], LETTERS, [0, -1]),
        (["True", "False"], ("False", "True"), [1, 0]),
    ],
)  # fmt: skip
def test_readings(cells: list[str], names: tuple[str, ...], found: list[int]) -> None:
    assert places(cells, names) == found


@pytest.mark.parametrize(
    ("cells", "names", "message"),
    [
        (["1", "2"], LETTERS, r"from 0 or from 1 cannot be told \(neither 0 nor the number of options occurs"),
        (["1", "2"], ("1", "2", "3", "4"), "its cells are names of options and numbers of others.*key=0 or"),
        (["x", "x", "y"], LETTERS, r"name \(A, B, C, D\), its letter or its number, got `x` \(2\), `y` \(1\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_an_error(
    cells: list[str], names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        places(cells, names)


def test_how_numbers_were_read_is_said() -> None:
    assert golds("key", ["0", "1"], [LETTERS] * 2, None).note.endswith("from 0, because 0 occurs")
    assert "from 1, because 0 never occurs" in golds("key", ["1", "4"], [LETTERS] * 2, None).note
    assert golds("key", ["A", "D"], [LETTERS] * 2, None).note == ""


def test_each_row_has_its_own_options() -> None:
    names = [("A", "B", "C"), ("red", "blue"), ("blue", "red", "C")]
    assert golds("key", ["C", "red", "red"], names, None).positions.tolist() == [2, 0, 1]
