"""Members of a family that other packages add: found by name, loaded late, and never in the way."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from types import SimpleNamespace
from typing import Any

import pytest

from lm_eval_calibration import members
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.members import BrokenMemberError, Members, blaming, points

OURS = SimpleNamespace(name="ours")
THEIRS = SimpleNamespace(name="theirs")
OTHER = SimpleNamespace(name="another name")


def loaded(point: EntryPoint) -> Any:
    """What an entry point names; one exits when it is imported."""
    if point.name == "exits":
        raise SystemExit(3)
    return globals()[point.value.rpartition(":")[2]]


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Members[Any]:
    values = {
        "theirs": "THEIRS", "ours": "THEIRS", "gone": "NOTHING", "wrong": "pytest", "alias": "OTHER", "exits": "EXIT",
    }  # fmt: skip
    points = [EntryPoint(name, f"{__name__}:{value}", "a.group") for name, value in values.items()]
    monkeypatch.setattr(members, "entry_points", lambda group: points if group == "a.group" else [])
    monkeypatch.setattr(EntryPoint, "load", loaded)
    wrong = "it has no name"
    return Members("a.group", [OURS], lambda found: "" if hasattr(found, "name") else wrong)


def test_ours_first_and_others_by_name(
    family: Members[Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert list(family) == ["ours", "theirs", "gone", "wrong", "alias", "exits"]
    assert len(family) == 6
    assert (
        "`ours` of another package" in caplog.text
        and "the name is taken by one of ours" in caplog.text
    )
    assert family["ours"] is OURS and family["theirs"] is THEIRS
    assert "theirs" in family and "nobody" not in family
    with pytest.raises(KeyError):
        family["nobody"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "KeyError"),
        ("wrong", "it has no name"),
        ("alias", "its name is 'another name'"),
        ("exits", "SystemExit: 3"),
    ],
)
def test_what_cannot_be_loaded(family: Members[Any], name: str, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"`{name}` of another package .* {reason}"):
        family[name]


def test_the_usable_ones(family: Members[Any], caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert list(family.usable()) == [OURS, THEIRS]
    assert caplog.text.count("cannot be used") == 4


def test_one_more_for_a_while(family: Members[Any]) -> None:
    with family.added(OTHER):
        assert family["another name"] is OTHER
    assert "another name" not in family


def test_whose_they_are(family: Members[Any]) -> None:
    assert family.package("theirs") == "another package"
    assert family.package("ours") == family.package("nobody") == ""
    assert family.taken(SimpleNamespace(name="ours"))
    assert not family.taken(OURS) and not family.taken(OTHER)


def test_two_packages_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("shrink", f"package{i}:METHOD", "a.group") for i in (1, 2)]
    monkeypatch.setattr(members, "entry_points", lambda group: twice)
    kept, ignored = points("a.group", [])
    assert kept == {"shrink": twice[0]}
    (why,) = ignored
    assert "package2:METHOD" in why and "is ignored: the name is taken by another package" in why


@pytest.mark.parametrize("error", [LookupError("oh"), SystemExit(1)])
def test_whatever_is_raised_names_its_package(error: BaseException) -> None:
    why = f"`x` of y failed to fit: {type(error).__name__}"
    with pytest.raises(BrokenMemberError, match=why), blaming("`x` of y", "fit"):
        raise error
    for passed in (InvalidInputError("a file"), KeyboardInterrupt()):
        with pytest.raises(type(passed)), blaming("`x` of y", "fit"):
            raise passed
