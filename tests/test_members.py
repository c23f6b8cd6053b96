"""Members of a family that other packages add: found by name, loaded late, and never in the way."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from lm_eval_calibration import members
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.members import Members

OURS = SimpleNamespace(name="ours")
THEIRS = SimpleNamespace(name="theirs")
OTHER = SimpleNamespace(name="another name")


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Members[Any]:
    values = {
        "theirs": "THEIRS", "ours": "THEIRS", "gone": "NOTHING", "wrong": "pytest", "alias": "OTHER",
    }  # fmt: skip
    points = [EntryPoint(name, f"{__name__}:{value}", "a.group") for name, value in values.items()]
    monkeypatch.setattr(members, "entry_points", lambda group: points if group == "a.group" else [])
    monkeypatch.setattr(EntryPoint, "load", lambda self: globals()[self.value.rpartition(":")[2]])
    wrong = "it has no name"
    return Members("a.group", [OURS], lambda found: "" if hasattr(found, "name") else wrong)


def test_ours_first_and_others_by_name(
    family: Members[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert list(family) == ["ours", "theirs", "gone", "wrong", "alias"] and len(family) == 5
    assert "`ours` of another package" in caplog.text and "the name is taken" in caplog.text
    assert family["ours"] is OURS and family["theirs"] is THEIRS
    assert "theirs" in family and "nobody" not in family
    with pytest.raises(KeyError):
        family["nobody"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gone", "KeyError"), ("wrong", "it has no name"), ("alias", "its name is 'another name'")],
)
def test_what_cannot_be_loaded(family: Members[Any], name: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"`{name}` of another package .* {reason}"):
        family[name]


def test_the_usable_ones(family: Members[Any], caplog: pytest.LogCaptureFixture) -> None:
    assert list(family.usable()) == [OURS, THEIRS]
    assert caplog.text.count("cannot be used") == 3


def test_one_more_for_a_while(family: Members[Any]) -> None:
    with family.added(OTHER):
        assert family["another name"] is OTHER
    assert "another name" not in family
