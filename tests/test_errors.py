"""The exception tree and the shared phrasing."""

from __future__ import annotations

import pytest

from lm_eval_calibration.errors import (
    CalibrationError,
    InvalidInputError,
    MissingExtraError,
    UnknownNameError,
    invalid,
    unknown_name,
)


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (InvalidInputError, (CalibrationError, ValueError)),
        (UnknownNameError, (InvalidInputError, CalibrationError, ValueError)),
        (MissingExtraError, (CalibrationError, ImportError)),
    ],
)
def test_tree(error: type[Exception], parents: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(error, parent) for parent in parents)


def test_invalid_names_the_argument_and_both_values() -> None:
    error = invalid("num_bins", "an integer", 2.5, "Leave it out for 15.")
    assert type(error) is InvalidInputError
    assert str(error) == "`num_bins` must be an integer, got 2.5. Leave it out for 15."
    assert str(invalid("x", "positive", 0)) == "`x` must be positive, got 0."


def test_unknown_name_lists_near_names_and_all() -> None:
    error = unknown_name("metric", "smce", ["smece", "mce", "auroc"])
    assert type(error) is UnknownNameError
    assert str(error) == (
        "Unknown metric `smce`. Did you mean `smece` or `mce`? Known: auroc, mce, smece."
    )
    assert str(unknown_name("metric", "xyz", ["ece"])) == "Unknown metric `xyz`. Known: ece."
