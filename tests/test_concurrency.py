"""Several processes at once in one folder, cache or store lose nothing, and disturb nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from children import Child, Work, digests
from command import run
from lm_eval import simple_evaluate
from scripted_base import Scripted  # noqa: F401

from lm_eval_calibration.features import FeatureStore
from lm_eval_calibration.files import write_json
from lm_eval_calibration.json_text import read_object


def together(works: list[Work], output: Path, log: Path) -> None:
    """Do them all at once."""
    children = [Child(work, output, log) for work in works]
    for child in children:
        child.wait()


def test_one_cache(tasks: Any, tmp_path: Path) -> None:
    """At skill 1 the scripted model says the same whatever was asked before, as a seeded one does."""

    def evaluation(number: int) -> Work:
        def work(output: Path) -> None:
            results = simple_evaluate(
                model="self_correct", model_args="base=scripted,picker=unsure,candidates=4,skill=1.0",
                tasks=["calib_toy_generate"], task_manager=tasks, bootstrap_iters=100,
                use_cache=str(output / "cache"),
            )  # fmt: skip
            assert results is not None
            text = json.dumps(results["results"], sort_keys=True)
            (output / f"results-{number}.json").write_text(text)

        return work

    together([evaluation(i) for i in range(3)], tmp_path, tmp_path / "error")
    together([evaluation(3)], tmp_path, tmp_path / "error")  # from the cache that they left
    assert len(found := digests(tmp_path, "results-*.json")) == 4
    assert len(set(found.values())) == 1


@pytest.mark.slow
def test_one_feature_store(tiny_model: Path, task_folder: Path, tmp_path: Path) -> None:
    def fit(tasks: str) -> Work:
        return lambda output: run(
            "fit", "thermometer", "--model_args", f"pretrained={tiny_model},dtype=float32",
            "--device", "cpu", "--include_path", task_folder, "--tasks", tasks, "--split", "test",
            "--features", output / "features", "--output", output / tasks.replace(",", "-"),
        )  # fmt: skip

    works = [fit("toy_norm,toy_several"), fit("toy_several,toy_plain")]
    together(works, tmp_path / "both", tmp_path / "error")
    for work in works:
        together([work], tmp_path / "alone", tmp_path / "error")
    pattern = "toy*/model.safetensors"
    assert digests(tmp_path / "both", pattern) == digests(tmp_path / "alone", pattern)
    stored = FeatureStore(tmp_path / "both" / "features").stored()
    assert {features.task for _, features in stored} == {"toy_norm", "toy_several", "toy_plain"}


def test_one_output_folder(tmp_path: Path) -> None:
    def score(number: int) -> Work:
        def work(output: Path) -> None:
            write_json(output / "report.json", {"rows": [number] * 100_000})

        return work

    together([score(i) for i in range(4)], tmp_path, tmp_path / "error")
    assert len(set(read_object(tmp_path / "report.json")["rows"])) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
