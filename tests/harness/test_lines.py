"""The bridges: what they take of the harness is looked at, and a harness that lacks it is one error."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.errors import HarnessError
from lm_eval_calibration.harness import lines
from lm_eval_calibration.harness.lines import bridge, harness_version, line_of, missing, refusal
from lm_eval_calibration.harness.needed import NEEDED

HERE = str(line_of(harness_version()))


def test_this_harness_has_what_its_bridge_takes() -> None:
    assert harness_version() in lines.TESTED
    assert missing(NEEDED[HERE]) == []
    assert bridge().__name__.endswith(HERE)


@pytest.mark.parametrize("version", ["0.3.0", "0.6.0", "1.0", "unknown", "0.45.1"])
def test_no_bridge_leads_to_another_line(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "harness_version", lambda: version)
    with pytest.raises(HarnessError, match=f"cannot be used with lm-eval {version}: no release"):
        bridge.__wrapped__()


def changed(place: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a harness whose function is gone, wants something more, or has lost a parameter."""
    name, _, path = place.partition(":")
    module = __import__(name, fromlist=["_"])
    *owners, last = path.split(".")
    owner: Any = module
    for each in owners:
        owner = getattr(owner, each)
    if how == "gone":  # (from a base class, too)
        for each in owner.__mro__ if isinstance(owner, type) else [owner]:
            if last in vars(each):
                monkeypatch.delattr(each, last)
    elif how == "wants more":
        needed = ", ".join(NEEDED[HERE][place])
        made: dict[str, Any] = {}
        exec(f"def stranger(self, {needed}, more): ...", made)
        monkeypatch.setattr(owner, last, made["stranger"])
    elif how == "takes less":
        monkeypatch.setattr(owner, last, lambda self: None)
    else:
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


OWN = [
    place
    for place, parameters in NEEDED[HERE].items()
    if parameters and "." in place.partition(":")[2] and not place.endswith("__init__")
]


@given(st.sampled_from(OWN), st.sampled_from(["gone", "wants more", "takes less", "empty"]))
def test_a_harness_that_changed_is_one_error(place: str, how: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        changed(place, how, monkeypatch)
        assert missing({place: NEEDED[HERE][place]})
        with pytest.raises(HarnessError) as error:
            bridge.__wrapped__()
    assert place in str(error.value) and "\n" not in str(error.value)
    assert f"cannot be used with lm-eval {harness_version()}" in str(error.value)


def test_a_bridge_that_stumbles_is_the_same_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumbles(name: str) -> Any:
        if name.endswith(HERE):
            raise AttributeError("no such thing")
        return __import__(name, fromlist=["_"])

    monkeypatch.setattr(lines.importlib, "import_module", stumbles)
    with pytest.raises(HarnessError, match="AttributeError: no such thing"):
        bridge.__wrapped__()


def test_the_error_says_what_to_do() -> None:
    said = str(refusal("why"))
    assert "pip install 'lm-eval==0.4.13'" in said and "lm-calib score" in said


WITHOUT = """
import sys
sys.modules["lm_eval"] = None
import pathlib
from lm_eval_calibration.cli import main
sys.argv = ["lm-calib", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "RUN", "--metrics", "acc,ece", "--replicates", "20"],
        ["compare", "one=RUN", "two=RUN", "--replicates", "20"],
        ["leaderboard", "one=RUN", "two=RUN", "--replicates", "20"],
        [
            "fit",
            "platt",
            "--samples",
            "TABLE",
            "--score",
            "s",
            "--correct",
            "ok",
            "--output",
            "OUT",
        ],
        ["card", "RUN", "--replicates", "20"],
        ["metrics"],
    ],
    ids=lambda a: a[0],
)
def test_past_runs_need_no_harness(arguments: list[str], tmp_path: Any, task_folder: Any) -> None:
    import json

    from logged_lines import line

    file = tmp_path / "run" / "samples_t_2026-01-01T00-00-00.000000.jsonl"
    file.parent.mkdir()
    file.write_text("".join(json.dumps(line(i)) + "\n" for i in range(30)))
    rows = "".join(f"{i % 7},{int(i % 3 > 0)}\n" for i in range(30))
    (tmp_path / "table.csv").write_text("s,ok\n" + rows)
    there = {"RUN": str(file.parent), "TABLE": "table.csv", "OUT": "out"}
    given_ = [a.replace("RUN", there["RUN"]) if "=" in a else there.get(a, a) for a in arguments]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, *given_], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout
