"""Members of other packages that fail: one line that names them, and nothing else is stopped."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from logged_lines import NAME, line

from lm_eval_calibration.calibrators import METHODS, Calibrator, fit
from lm_eval_calibration.calibrators.contract import Method
from lm_eval_calibration.calibrators.methods import guarded
from lm_eval_calibration.errors import InvalidInputError, MissingExtraError
from lm_eval_calibration.logs import FORMATS, read_runs
from lm_eval_calibration.logs.contract import Left, LogFile
from lm_eval_calibration.logs.guarded import GuardedFormat
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.predictions import Predictions

ABOUT = "`broken` of another-package (another:METHOD)"
BELIEFS = Predictions.from_options([[0.0, 1.0], [2.0, 0.0]], [1, 1])


def broken(**changes: Any) -> Method:
    return replace(METHODS["platt"], **{"name": "broken", **changes})


def raises(*_: object) -> Any:
    raise RuntimeError("first\nsecond")


@pytest.mark.parametrize("function", ["fit", "apply", "check"])
def test_a_calibrator_that_raises(function: str, tmp_path: Path) -> None:
    with METHODS.added(broken()):
        fit("broken", BELIEFS).save_pretrained(tmp_path / "kept")
    uses: dict[str, Callable[[], Any]] = {
        "fit": lambda: fit("broken", BELIEFS),
        "apply": lambda: fit("broken", BELIEFS).transform(BELIEFS),
        "check": lambda: Calibrator.from_pretrained(tmp_path / "kept"),
    }
    method = guarded(broken(**{function: raises}), ABOUT)
    with METHODS.added(method), pytest.raises(BrokenMemberError) as caught:
        uses[function]()
    assert str(caught.value) == (
        f"{ABOUT} failed to {function}: RuntimeError: first second. Tell its authors."
    )


@pytest.mark.parametrize(
    ("apply", "error"),
    [
        (lambda b, p: b.logits * np.nan, "`broken` gave NaN"),
        (lambda b, p: b.logits[:-1], r"`broken` must give .* of shape \(4,\), got .*\(3,\)"),
        (lambda b, p: b.logits + np.inf, "`broken` gave what are no beliefs"),
    ],
)
def test_what_is_no_belief_names_its_calibrator(apply: Callable[..., Any], error: str) -> None:
    with METHODS.added(broken(apply=apply, keeps_order=False)):
        found = fit("broken", BELIEFS)
        with pytest.raises(InvalidInputError, match=error):
            found.transform(BELIEFS)
        with pytest.raises(InvalidInputError, match=error):
            found.option_scores(np.zeros((2, 2)), np.array([2, 2]))
    confidences = Predictions.from_confidences([0.5, 0.6], [0, 1])
    for mapped in (2.0, -1.0):
        method = broken(apply_pairs=lambda c, p, m=mapped: c * 0 + m)
        with METHODS.added(method), pytest.raises(InvalidInputError, match="confidences outside"):
            fit("broken", confidences).transform(confidences)


def test_a_package_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with METHODS.added(broken()):
        monkeypatch.setattr(METHODS, "package", lambda name: "another-package")
        fit("broken", BELIEFS).save_pretrained(tmp_path / "kept")
    with pytest.raises(MissingExtraError, match="the package another-package adds: install that"):
        Calibrator.from_pretrained(tmp_path / "kept")
    monkeypatch.undo()
    with METHODS.added(broken()):
        fit("broken", BELIEFS).save_pretrained(tmp_path / "unknown")
    with pytest.raises(InvalidInputError, match="somebody else's adds it, install that"):
        Calibrator.from_pretrained(tmp_path / "unknown")


@pytest.fixture
def harness_logs(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "model" / NAME
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(line(i)) + "\n" for i in range(8)))
    return path


def test_a_format_that_cannot_search(
    example: Any, harness_logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(type(example.scores_json.FORMAT)):  # type: ignore[misc]
        def finds(self, path: Path) -> Any:
            raise SystemExit(1)

    class Odd(type(example.scores_json.FORMAT)):  # type: ignore[misc]
        def finds(self, path: Path) -> Any:
            return [path]

    for kind, why in ((Broken, "failed to look for runs"), (Odd, "`finds` must give Left")):
        caplog.clear()
        with FORMATS.added(GuardedFormat(kind(), ABOUT)):
            (read,), _ = read_runs([harness_logs.parent])
        assert list(read.samples) == ["toy"]
        assert caplog.text.count(ABOUT) == 1 and why in caplog.text


def test_a_format_that_cannot_read(example: Any, scores: Path) -> None:
    class Broken(type(example.scores_json.FORMAT)):  # type: ignore[misc]
        def read(self, file: LogFile, label: str, skip_bad: bool) -> Any:
            return json.loads(b"[")

    class Odd(type(example.scores_json.FORMAT)):  # type: ignore[misc]
        def read(self, file: LogFile, label: str, skip_bad: bool) -> Any:
            return "samples"

    for kind, why in ((Broken, "failed to read the run in"), (Odd, "`read` must give Samples")):
        format_ = GuardedFormat(kind(), ABOUT)
        with FORMATS.added(format_), pytest.raises(BrokenMemberError, match=why):
            read_runs([scores])
    with FORMATS.added(GuardedFormat(example.scores_json.FORMAT, ABOUT)):
        runs, _ = read_runs([scores])
        assert [one.label for one in runs] == ["a", "b"]


def test_skip_bad_leaves_out_files_that_cannot_be_read(example: Any, scores: Path) -> None:
    with FORMATS.added(example.scores_json.FORMAT):
        (scores / "a" / "arc.scores.json").write_text("[")
        with pytest.raises(InvalidInputError, match=r"arc\.scores\.json is no list"):
            read_runs([scores])
        (a, b), (reason,) = read_runs([scores], skip_bad=True)
        assert [*a.samples] == ["boolq"] and [*b.samples] == ["arc", "boolq"]
        assert "arc.scores.json is no list of scores" in reason
        (scores / "a" / "boolq.scores.json").write_text("[")
        (b,), reasons = read_runs([scores], skip_bad=True)
        assert b.label == "b" and len(reasons) == 2
        with pytest.raises(InvalidInputError, match=r"Nothing can be read.*arc.*boolq"):
            read_runs([scores / "a"], skip_bad=True)


def test_two_formats_of_one_file(
    example: Any, harness_logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Claims(type(example.scores_json.FORMAT)):  # type: ignore[misc]
        sure = True

        def finds(self, path: Path) -> Any:
            files = {"toy": LogFile("toy", "", harness_logs)}
            return [Left(self.name, harness_logs.parent, files, sure=self.sure)]

    with FORMATS.added(Claims()):
        (read,), _ = read_runs([harness_logs.parent])
        assert read.samples["toy"].format == "lm-eval"
    assert "is of two formats, lm-eval and scores-json: read as lm-eval" in caplog.text
    caplog.clear()
    Claims.sure = False
    with FORMATS.added(Claims()):
        read_runs([harness_logs.parent])
    assert not caplog.text


def test_what_is_not_known_of_documents_is_said_once(workspace: Path) -> None:
    rows = [f"{t},{0.5 + 0.01 * i},{i % 2}" for t in "ab" for i in range(30)]
    (workspace / "t.csv").write_text("\n".join(["task,p,ok", *rows]))
    table = ["--confidence", "p", "--correct", "ok", "--task", "task"]
    run("fit", "platt", "--samples", "t.csv", *table, "--output", "m1")
    said = run("score", "t.csv", *table, "--calibrator", "m1", "--metrics", "nll").stderr
    assert said.count("it is not known whether documents of this evaluation are among those") == 1
    assert said.count("its beliefs are those of the model and a calibrator (platt)") == 1
    assert "t.csv: its beliefs" in said and "and 1 more" not in said  # (one file)


def test_formats_are_listed(example: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with FORMATS.added(example.scores_json.FORMAT):
        printed = run("formats").stdout
    assert "lm-eval " in printed and "scores-json" in printed
    assert "a score for each option, and the right one" in printed
