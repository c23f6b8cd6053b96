"""Records of Every Eval Ever, held against what its schema and its store ask for."""

from __future__ import annotations

import json
import math
import re
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.analysis.leaderboard import leaderboard
from lm_eval_calibration.exports.every_eval_ever import write_records
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.predictions import Predictions

FILE = re.compile(r"data/[^/]+/[^/]+/[^/]+/[0-9a-f-]{36}\.json")


def written(folder: Path, runs: list[Run], **options: Any) -> list[Any]:
    board = leaderboard(runs, ["acc", "nll", "ece"], replicates=50)
    paths, _ = write_records(board, runs, folder, replicates=50, now=1.8e9, **options)
    return [json.loads(path.read_text()) for path in paths]


def test_they_lie_where_the_store_has_them(tmp_path: Path, runs: list[Run]) -> None:
    written(tmp_path, runs)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")]
    assert len(files) == 2 and all(FILE.fullmatch(name) for name in files)
    assert {name.rsplit("/", 1)[0] for name in files} == {
        "data/lm-eval-calibration/org/model",
        "data/lm-eval-calibration/unknown/_con",
    }
    for name in files:
        assert uuid.UUID(Path(name).stem).version == 4


def test_the_same_figures_are_the_same_file(tmp_path: Path, runs: list[Run]) -> None:
    written(tmp_path, runs)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    written(tmp_path, runs)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before
    written(tmp_path, runs, organization="Mine")
    assert len(list(tmp_path.rglob("*.json"))) == 4


def test_what_the_results_tell_is_in_it(tmp_path: Path, runs: list[Run]) -> None:
    known, unknown = written(tmp_path, runs, organization="Mine")
    assert known["schema_version"] == "0.3.0"
    assert known["model_info"]["id"] == "org/model" and known["model_info"]["developer"] == "org"
    assert known["model_info"]["additional_details"] == {
        "dtype": "torch.float32",
        "deployment_type": "self_deployed",
        "model_availability": "open_weights",
    }
    assert known["eval_library"] == {"name": "lm_eval", "version": "0.4.13"}
    assert known["evaluation_timestamp"] == "1780000000"
    assert known["source_metadata"]["source_organization_name"] == "Mine"
    assert "/home" not in json.dumps(known)
    first, second = known["evaluation_results"][:2]
    assert first["source_data"] == {
        "dataset_name": "arc_easy", "source_type": "hf_dataset", "hf_repo": "allenai/ai2_arc",
        "hf_split": "test", "samples_number": 40,
    }  # fmt: skip
    assert second["source_data"] == {"dataset_name": "mine", "source_type": "other"}
    twin = replace(runs[0], samples={f"calib_{t}": s for t, s in runs[0].samples.items()})
    (beside, _) = written(tmp_path, [twin, runs[1]], organization="Mine")
    assert beside["evaluation_results"][0]["source_data"]["hf_repo"] == "allenai/ai2_arc"
    assert unknown["eval_library"]["version"] == "unknown"
    assert "evaluation_timestamp" not in unknown


def test_models_of_any_script_have_a_place_each(tmp_path: Path, runs: list[Run]) -> None:
    named = [replace(run, label=label, results=()) for run, label in zip(runs, "甲乙", strict=True)]
    written(tmp_path, named)
    assert len({path.parent for path in tmp_path.rglob("*.json")}) == 2


def test_figures_are_the_leaderboards(tmp_path: Path, runs: list[Run]) -> None:
    board = leaderboard(runs, ["acc", "nll", "ece"], replicates=50)
    record = written(tmp_path, runs)[0]
    for result in record["evaluation_results"]:
        config, details = result["metric_config"], result["score_details"]
        figure = board.standings[0].tasks[config["metric_name"]][result["evaluation_name"]]
        assert details["score"] == figure.value
        interval = details["uncertainty"]["confidence_interval"]
        assert (interval["lower"], interval["upper"]) == (figure.low, figure.high)
        assert details["uncertainty"]["num_samples"] == 40
        low, high = float(config["min_score"]), float(config["max_score"])
        assert low <= interval["lower"] <= details["score"] <= interval["upper"] <= high
    ids = {r["metric_config"]["metric_id"] for r in record["evaluation_results"]}
    assert ids == {"accuracy", "lm_eval_calibration.nll", "lm_eval_calibration.ece"}


def test_what_has_no_number_is_left_out_and_said(tmp_path: Path, runs: list[Run]) -> None:
    certain = Predictions.from_options([[0.0, -math.inf]] * 40, [1] * 40)
    broken = {t: replace(s, predictions=certain, normalised={}) for t, s in runs[1].samples.items()}
    runs = [runs[0], Run("certain", broken)]
    board = leaderboard(runs, ["acc", "nll"], replicates=50)
    paths, left_out = write_records(board, runs, tmp_path, replicates=50)
    assert left_out == ["certain: 2 figure(s) are infinite or undefined"]
    assert len(paths) == 2
    json.loads(paths[1].read_text(), parse_constant=pytest.fail)
