"""Thresholds in the report: chosen on half of the documents, or on another run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration import Predictions
from lm_eval_calibration.analysis.scores import score_all
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run, Samples, Scope, scopes
from lm_eval_calibration.report.acting import ActingView, view
from lm_eval_calibration.report.page import write_report
from lm_eval_calibration.testing.calibrators import overconfident


def samples(task: str = "toy", count: int = 200, seed: int = 0) -> Samples:
    """Calibrated confidences."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.5, 1, count)
    p = Predictions.from_confidences(confidence, rng.random(count) < confidence)
    hashes = rng.integers(2**63, size=count).astype(np.uint64)
    return Samples("run", task, Path("none"), p, doc_hash=hashes)


def scope(*parts: Samples) -> Scope:
    return Scope("run", "toy", parts, pooled=len(parts) > 1)


def shown(found: ActingView | None) -> ActingView:
    assert found is not None
    return found


def test_half_of_the_documents() -> None:
    found = shown(view(scope(samples()), None))
    assert "half of these documents" in found.source
    assert [row.wanted for row in found.rows] == ["80.0 %", "90.0 %", "95.0 %"]
    assert all(row.accepted == "any answer" for row in found.rows)
    assert found.rows[0].interval.startswith("[")


def test_another_run() -> None:
    other = Run("validation", {"calib_toy": samples("calib_toy", seed=1)})
    found = shown(view(scope(samples()), other))
    assert "the run `validation`, and what it gives on this run's 200" in found.source
    assert view(scope(samples("law")), other) is None


def test_a_group_is_pooled() -> None:
    parts = [samples(seed=0), samples("law", seed=1)]
    assert view(scope(*parts), Run("validation", {"toy": samples(seed=2)})) is None
    both = Run("validation", {"toy": samples(seed=2), "law": samples("law", seed=3)})
    assert "on 400 documents" in shown(view(scope(*parts), both)).source


def test_what_is_not_reached() -> None:
    wrong = samples()
    never = Predictions.from_confidences(wrong.predictions.confidence, np.zeros(200, bool))
    found = shown(view(scope(replace(wrong, predictions=never)), None))
    assert {row.threshold for row in found.rows} == {"not reached"}


def test_the_same_documents_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="are in both runs"):
        view(scope(samples()), Run("same", {"toy": samples()}))


def test_on_the_page(tmp_path: Path) -> None:
    run = Run("run", {"toy": samples()})
    scored = score_all(list(scopes(run)), ["acc", "ece"], replicates=50)
    page = write_report([run], scored, tmp_path / "report.html").read_text()
    assert "Which answers to act on" in page and "half of these documents" in page
    other = Run("validation", {"toy": samples(seed=1)})
    page = write_report([run], scored, tmp_path / "report.html", thresholds_from=other).read_text()
    assert "the run `validation`" in page


def test_sets_of_options_stand_beside_thresholds() -> None:
    p = overconfident(300)
    hashes = np.random.default_rng(0).integers(2**63, size=300).astype(np.uint64)
    of_options = Samples("run", "toy", Path("none"), p, doc_hash=hashes)
    told = shown(view(scope(of_options), None)).sets
    assert "(split conformal, 90.0 %)" in told and "options on average" in told
    assert shown(view(scope(samples()), None)).sets == ""  # (answers have no options)
    few = Samples("run", "toy", Path("none"), p.take(np.arange(12)), doc_hash=hashes[:12])
    assert shown(view(scope(few), None)).sets == ""
