"""Groups of documents by a field: which differ, and multicalibration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import run

from lm_eval_calibration.analysis.subgroups import FEWEST_OF_A_GROUP, by_field
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Samples, Scope
from lm_eval_calibration.predictions import Predictions


def scope(p: Predictions, values: list[str]) -> Scope:
    columns = {"group": np.array(values, dtype=object)}
    return Scope("a", "toy", (Samples("a", "toy", Path("x"), p, columns=columns),))


def drawn(sizes: dict[str, int], shift: dict[str, float], seed: int = 0) -> Scope:
    """Confidences, and verdicts that fall short of them by so much in a group."""
    rng = np.random.default_rng(seed)
    values = [name for name, size in sizes.items() for _ in range(size)]
    c = rng.uniform(0.4, 0.95, len(values))
    short = np.array([shift.get(name, 0.0) for name in values])
    return scope(Predictions.from_confidences(c, rng.uniform(size=len(c)) < c - short), values)


def test_the_group_that_differs_is_found() -> None:
    found = by_field(drawn({"a": 400, "b": 400, "c": 400}, {"b": 0.3}), "group", replicates=300)
    assert found is not None and [g.value for g in found.groups] == ["a", "b", "c"]
    p = {g.value: g.p_values["ece"] for g in found.groups}
    assert p["b"] < 0.05
    assert found.multicalibration is not None and found.multicalibration.group == "b"
    assert found.multicalibration.value > found.multicalibration.null.high
    assert found.multicalibration.value == pytest.approx(
        found.groups[1].estimates["ece"].value / 3, abs=1e-12
    )


def test_small_groups_are_not_told_apart_by_their_size() -> None:
    """ECE is larger of few documents: that alone is no difference."""
    below = 0
    for seed in range(20):
        found = by_field(
            drawn({"many": 600, "few": 40}, {}, seed), "group", ["ece"], replicates=200
        )
        assert found is not None
        below += any(g.p_values["ece"] < 0.05 for g in found.groups)
        calibrated = found.multicalibration
        assert calibrated is not None and calibrated.null.low <= calibrated.null.high
    assert below <= 4


def test_small_values_are_counted() -> None:
    sizes = {"a": 50, "b": 30, **{f"x{i}": 3 for i in range(5)}}
    found = by_field(drawn(sizes, {}), "group", ["acc"], replicates=50)
    assert found is not None
    assert (len(found.groups), found.small, found.left_over) == (2, 5, 15)


def test_nothing_to_part() -> None:
    assert by_field(drawn({"a": 50}, {}), "group", replicates=50) is None
    with pytest.raises(InvalidInputError, match=f"has {FEWEST_OF_A_GROUP} documents or more"):
        by_field(drawn({"a": 5, "b": 5}, {}), "group", replicates=50)


def test_as_it_is_typed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = tmp_path / "t.csv"
    lines = [
        f"{rng.uniform(0.5, 1):.3f},{int(rng.uniform() < 0.7)},{'north' if i % 2 else 'south'}"
        for i in range(200)
    ]
    table.write_text("c,y,region\n" + "\n".join(lines) + "\n")
    asked = ("score", table, "--confidence", "c", "--correct", "y", "--by", "region")
    text = run(*asked).stdout
    assert "north" in text and "Multicalibration error" in text
    told = json.loads(run(*asked, "--json").stdout)["groups"][0]
    assert {row["group"] for row in told["metrics"]} == {"north", "south"}
    assert "north" in run(*asked, "--csv").stdout and "| north" in run(*asked, "--markdown").stdout
    with pytest.raises(InvalidInputError, match="`regoin`"):
        run("score", table, "--confidence", "c", "--correct", "y", "--by", "regoin")
    by_task = json.loads(run(*asked, "--task", "region", "--json").stdout)["groups"]
    assert [each["name"] for each in by_task] == ["all tasks"]  # (no task has two regions)
    assert {row["group"] for row in by_task[0]["metrics"]} == {"north", "south"}
    page = tmp_path / "r.html"
    run("report", *asked[1:], "-o", page)
    assert "By region" in page.read_text() and "Multicalibration error" in page.read_text()
    clustered = run("score", table, "--confidence", "c", "--correct", "y", "--cluster", "region")
    assert "documents of one `region` are drawn together, 2 of them" in clustered.stderr
