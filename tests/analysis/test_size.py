"""How many documents a comparison needs: by draws what is known in closed form."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from command import run

from lm_eval_calibration.analysis.size import documents_needed
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Samples, Scope
from lm_eval_calibration.metrics import compare
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import overconfident


def scope(p: Predictions, cluster: np.ndarray | None = None) -> Scope:
    more = {} if cluster is None else {"cluster": cluster}
    return Scope("a", "toy", (Samples("a", "toy", Path("x"), p, **more),))


def test_of_an_accuracy_it_is_the_textbook_s() -> None:
    p = Predictions.from_confidences(np.full(2000, 0.5), np.arange(2000) < 1000)
    found = documents_needed([scope(p)], "acc", 0.05, correlation=0.0)
    expected = 2 * 0.25 * (1.959964 + 0.841621) ** 2 / 0.05**2  # 1,570 in each of two groups
    assert found.documents == pytest.approx(expected, rel=0.1)
    by_size = {row.documents: row for row in found.table}
    assert by_size[100].interval == pytest.approx(1.96 * 0.05, rel=0.1)
    assert by_size[10_000].detectable == pytest.approx(2.8 * np.sqrt(0.5 / 10_000), rel=0.1)


def test_two_runs_are_measured_and_as_many_documents_do_it() -> None:
    known, rng = overconfident(4000, temperature=1.0), np.random.default_rng(0)
    assert known.options is not None
    worse = Predictions.from_flat(
        known.options.values + rng.normal(0, 0.4, len(known.options.values)),
        known.options.count,
        known.golds.values,  # type: ignore[union-attr]
    )
    found = documents_needed([scope(known), scope(worse)], "nll", 0.03)
    assert 0.5 < found.correlation < 1 and math.isfinite(found.documents)
    sizes = int(found.documents)
    rows = rng.integers(0, len(known), (60, sizes))
    apart = [compare(known.take(r), worse.take(r), ["nll"], replicates=100)["nll"] for r in rows]
    effect = np.std([d.difference for d in apart]) * 2.8
    assert effect == pytest.approx(0.03, rel=0.25)


def test_clusters_need_more() -> None:
    p = overconfident(300)
    rows = np.repeat(np.arange(300), 5)
    alone = documents_needed([scope(p)], "brier", 0.05)
    together = documents_needed([scope(p.take(rows), rows)], "brier", 0.05)
    assert together.documents == pytest.approx(5 * alone.documents, rel=0.15)


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"effect": 0.0}, "--effect"),
        ({"effect": 0.1, "power": 1.0}, "--power"),
        ({"effect": 0.1, "correlation": 1.0}, "--correlation"),
    ],
)
def test_numbers_that_cannot_be(more: dict[str, float], what: str) -> None:
    with pytest.raises(InvalidInputError, match=what):
        documents_needed([scope(overconfident(50))], "acc", **more)


def test_as_it_is_typed(tmp_path: Path) -> None:
    p = overconfident(200)
    table = tmp_path / "t.csv"
    rows = zip(p.confidence, p.correct, strict=True)
    table.write_text("c,y\n" + "".join(f"{c},{int(y)}\n" for c, y in rows))
    columns = ("--confidence", "c", "--correct", "y")
    asked = ("size", "--like", table, "--metric", "ece", "--effect", 0.05, *columns)
    text = " ".join(run(*asked).stdout.split())
    assert "A difference of 0.05 in ece is seen 80% of the time on" in text
    told = json.loads(run(*asked, "--json").stdout)["sizes"][0]
    assert told["documents"] > 100 and len(told["table"]) == 5
