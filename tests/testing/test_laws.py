"""The laws hold for our own members, and break where they are broken."""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.model import LM
from logged_lines import NAME, line
from requesting import requested

from lm_eval_calibration.calibrators import METHODS, fit
from lm_eval_calibration.logs import FORMATS, read_runs
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import (
    check_belief_source,
    check_calibrator,
    check_format,
    check_metric,
)
from lm_eval_calibration.testing.formats import FOREIGN

HERE = Path(__file__).parent


class Doubtful(LM):
    """A base that hedges, the more the longer the question."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        return [f"{len(r.args[0]) % 3 * 'perhaps '}it is {r.args[0]}" for r in requests]

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
        return [(-1.0, True) for _ in requests]

    loglikelihood_rolling = loglikelihood


def asked() -> list[Any]:
    """Requests of a generation twin."""
    arguments = [(f"What is item {i} of the test?", {"until": ["\n"]}) for i in range(6)]
    return [
        requested("generate_until", of_one, of=("calib_toy", i))
        for i, of_one in enumerate(arguments)
    ]


@pytest.mark.parametrize("name", METHODS)
def test_our_calibrators(name: str) -> None:
    check_calibrator(METHODS[name], helps=name not in ("resoftmax", "prior"), cases=3)


def test_the_harness_s_logs(tmp_path: Path) -> None:
    for model in ("org__a", "org__b"):
        path = tmp_path / model / NAME
        path.parent.mkdir()
        path.write_text("".join(json.dumps(line(i, doc_hash=None)) + "\n" for i in range(30)))
    own = "samples_arc_easy_2026-01-01T00-00-00.000001.jsonl"
    check_format(HARNESS, tmp_path, foreign=[name for name in FOREIGN if name != own])


def test_an_example(example: Any, scores: Path) -> None:
    check_calibrator(example.shrink.METHOD)
    check_format(example.scores_json.FORMAT, scores)
    check_metric(example.sure_and_wrong.METRIC)
    check_belief_source(lambda: example.hedges.HedgesLM(base=Doubtful), asked(), "generate_until")


def test_as_the_page_has_them(scores: Path) -> None:
    page = (HERE.parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
    shown = re.findall(r"```python\n# my_calibration/(\w+)\.py(.*?)```", page, re.DOTALL)
    found = {name: types.ModuleType(name) for name, _ in shown}
    for name, code in shown:
        exec(compile(f"#{code}", name, "exec"), vars(found[name]))
    check_calibrator(found["shrink"].METHOD, cases=3)
    check_format(found["scores_json"].FORMAT, scores)
    check_metric(found["sure_and_wrong"].METRIC, cases=3)
    made = found["hedges"].HedgesLM
    check_belief_source(lambda: made(base=Doubtful), asked(), "generate_until")


def test_what_is_added_is_a_member(example: Any, scores: Path) -> None:
    with FORMATS.added(example.scores_json.FORMAT):
        runs, _ = read_runs([scores])
        assert [run.label for run in runs] == ["a", "b"]
        assert set(runs[0].samples) == {"arc", "boolq"}
    with METHODS.added(example.shrink.METHOD):
        p = Predictions.from_options([[0.0, 9.0]] * 4, [1, 1, 1, 0])
        assert fit("shrink", p).transform(p).confidence == pytest.approx([0.75] * 4, abs=1e-4)
    assert "shrink" not in METHODS and "scores-json" not in FORMATS
