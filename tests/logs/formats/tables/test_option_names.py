"""Which columns are options, as somebody writes it."""

from __future__ import annotations

import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables.option_names import columns_of, short_names


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("Logit_{A..D}", "ABCD"),
        ("ada_choice{A..D}_probs", "ABCD"),
        ("{a..c}", "abc"),
        ("p{1..3}", "123"),
        ("p_{9..11}", ["9", "10", "11"]),
        ("p_{yes, no}", ["yes", "no"]),
        ("truth,trust", ["truth", "trust"]),
        ("correct,incorrect", ["correct", "incorrect"]),
        ("s_entailment, s_neutral", ["entailment", "neutral"]),
        ("scores", ["scores"]),
    ],
)
def test_columns_and_what_tells_them_apart(written: str, names: list[str]) -> None:
    assert short_names(columns_of(written)) == tuple(names)


@pytest.mark.parametrize(
    "written", ["", "a,", "a,a", "{A..D}{A..B}", "x_{D..A}", "x_{}", "x_{A}", "x_{A..2}", "x_{A", "a,{b,c}"]
)  # fmt: skip
def test_what_is_no_list_of_columns(written: str) -> None:
    with pytest.raises(InvalidInputError, match="`--options` must be"):
        columns_of(written)
