"""What runs took: of results files as the harness writes them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from command import RUNNER, app, run
from logged_lines import NAME, line

from lm_eval_calibration.analysis.cost import Price, cost_of
from lm_eval_calibration.logs.run import Run

USAGE = {"requests": 40, "prompt_tokens": 12_000, "completion_tokens": 3_000}


def results(**changes: Any) -> dict[str, Any]:
    whole = {
        "n-samples": {
            "a": {"original": 100, "effective": 20},
            "b": {"original": 60, "effective": 20},
        },
        "total_evaluation_time_seconds": "90.5",
        "model_name": "m",
        "config": {"model": "self_consistency", "usage": dict(USAGE)},
    }
    return {**whole, **changes}


def test_all_documents_take_as_much_more_as_there_are_more() -> None:
    (found,) = cost_of(Run("r", {}, results=(results(),)), Price(2.0, 10.0))
    assert found.spent == (40, 40, 12_000, 3_000, 90.5, pytest.approx(0.054))
    assert found.whole == pytest.approx((160, 160, 48_000, 12_000, 362, 0.216))


def test_kept_answers_are_asked_again_of_all_and_loading_is_counted_once() -> None:
    usage = {**USAGE, "asked": 40, "kept": 120, "asking_seconds": 10.5}
    (found,) = cost_of(Run("r", {}, results=(results(config={"usage": usage}),)), Price(2.0, 10.0))
    assert found.spent[1:] == (40, 12_000, 3_000, 90.5, pytest.approx(0.054))
    assert found.whole == pytest.approx((160, 640, 192_000, 48_000, 80 + 10.5 * 16, 0.864))


@pytest.mark.parametrize(
    "odd", [{"config": {}}, {"config": None}, {"config": {"usage": [1]}}], ids=str
)
def test_what_was_not_counted_is_not_known(odd: dict[str, Any]) -> None:
    (found,) = cost_of(Run("r", {}, results=(results(**odd),)), Price(1, 1))
    assert all(map(math.isnan, (*found.spent[1:4], found.spent.price, found.whole.price)))
    assert found.spent.documents == 40 and found.whole.seconds == 362


@pytest.fixture
def logged(tmp_path: Path) -> Path:
    """A run folder of one task."""
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / NAME).write_text("\n".join(json.dumps(line(i)) for i in range(20)) + "\n")
    date = NAME.removeprefix("samples_toy_").removesuffix(".jsonl")
    sizes = {"n-samples": {"toy": {"original": 872, "effective": 20}}}
    (folder / f"results_{date}.json").write_text(json.dumps(results(**sizes)))
    return folder


def test_the_command(logged: Path) -> None:
    text = run("cost", logged, "--price", "0.15,0.60").stdout
    lines = [line.split() for line in text.splitlines()]
    assert (
        lines[1][-7:] == ["20", "40", "12,000", "3,000", "1", "min", "30"] or "12,000" in lines[1]
    )
    assert "0.0036" in lines[1] and "872" in lines[2] and "0.1570" in lines[2]
    told = json.loads(run("cost", logged, "--json").stdout)["costs"][0]
    assert told["spent"]["price"] is None and told["whole"]["requests"] == 40 * 872 / 20
    assert "tokens in" in run("cost", logged, "--markdown").stdout
    assert run("cost", logged, "--csv").stdout.startswith("run,model,documents")


@pytest.mark.parametrize("price", ["3", "a,b", "1,-2", "1,2,3", "nan,1"])
def test_a_price_is_two_numbers(logged: Path, price: str) -> None:
    result = RUNNER.invoke(app, ["cost", str(logged), "--price", price])
    assert result.exit_code and "--price" in str(result.exception)


def test_a_run_of_any_task_and_its_own_name_for_tokens(logged: Path) -> None:
    next(logged.glob("samples_*")).write_text('{"no": "document"}\n')
    usage = {"requests": 3, "input_tokens": 30, "output_tokens": 6}
    path = next(logged.glob("results_*"))
    path.write_text(json.dumps(results(config={"usage": usage}, model_name="a/b")))
    told = json.loads(run("cost", logged, "--json").stdout)["costs"][0]
    assert told["spent"]["prompt_tokens"] == 30 and told["whole"]["completion_tokens"] == 24
    assert run("cost", logged).stdout.splitlines()[1].split()[0] == "b"


def test_samples_without_results(logged: Path) -> None:
    next(logged.glob("results_*")).unlink()
    result = RUNNER.invoke(app, ["cost", str(logged)])
    assert result.exit_code and "no results file" in str(result.exception)
