"""Features in parts that outlive a kill; every task held out once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run

from lm_eval_calibration.calibrators.thermometer import PRESETS
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features, FeatureStore
from lm_eval_calibration.fitting import collect as collecting
from lm_eval_calibration.fitting.leave_one_out import (
    JUDGED_METHODS,
    OPTIONS,
    differences,
    leave_one_out,
    summarise,
)
from lm_eval_calibration.fitting.task_documents import LabelledTask, Prompting, labelled, load_tasks
from lm_eval_calibration.fitting.thermometer import TaskFeatures
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.predictions import Predictions


@pytest.fixture(scope="module")
def fast(tiny_model: Path) -> FastHFLM:
    return FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def asked(fast: FastHFLM, task_folder: Path) -> LabelledTask:
    task = load_tasks(["toy_several"], str(task_folder))["toy_several"]
    return labelled("toy_several", task, "test", Prompting(limit=11), fast)


def test_a_pass_that_was_killed_goes_on_where_it_was(
    fast: FastHFLM, asked: LabelledTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PART_DOCUMENTS", 4)
    (whole,) = collecting.collect(fast, [asked])
    store, calls = FeatureStore(tmp_path), []
    observed = FastHFLM.observed

    def killed(self: Any, requests: Any, *rest: Any) -> Any:
        calls.append(len(requests))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return observed(self, requests, *rest)

    monkeypatch.setattr(FastHFLM, "observed", killed)
    with pytest.raises(KeyboardInterrupt):
        collecting.collect(fast, [asked], store)
    done = []
    (again,) = collecting.collect(fast, [asked], store, progress=done.append)
    assert len(calls) == 4 and done == [4, 4, 3]  # only the third part was made again
    for name in ("hidden", "logits", "gold", "documents"):
        np.testing.assert_allclose(getattr(again, name), getattr(whole, name), atol=1e-5)
    assert len(calls) == 4
    collecting.collect(fast, [asked], store)
    assert len(calls) == 4


def test_gold_and_options_are_the_tasks(fast: FastHFLM, asked: LabelledTask) -> None:
    (found,) = collecting.collect(fast, [asked])
    assert len(found) == 11 and found.hidden.shape == (11, 32)
    assert found.num_options.tolist() == [3 + i % 3 for i in range(11)]
    assert [np.flatnonzero(row).tolist() for row in found.gold] == [
        [0, 2] if i % 2 else [1] for i in range(11)
    ]


def test_hidden_states_need_hf_fast(tiny_lm: Any, asked: LabelledTask) -> None:
    with pytest.raises(InvalidInputError, match="`--model` must be hf-fast"):
        collecting.collect(tiny_lm, [asked])
    (scores,) = collecting.collect(tiny_lm, [asked], hidden=False)
    assert scores.hidden.shape == (11, 0) and len(scores.predictions) == 11


def synthetic(name: str, temperature: float, seed: int) -> TaskFeatures:
    def part(seed: int) -> Features:
        rng = np.random.default_rng(seed)
        true = rng.normal(0, 1.5, (150, 4))
        p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
        gold = np.array([rng.choice(4, p=row) for row in p])
        hidden = rng.normal(np.log(temperature), 0.2, (150, 6)).astype(np.float32)
        documents = rng.integers(0, 2**63, 150).astype(np.uint64)
        four = np.full(150, 4, dtype=np.intp)
        return Features(
            name, hidden, true * temperature, four, np.eye(4, dtype=bool)[gold], documents
        )

    return TaskFeatures(part(seed), part(seed + 1))


def test_every_task_held_out_once() -> None:
    temperatures = np.exp(np.linspace(np.log(0.8), np.log(4), 8))
    tasks = {f"t{i}": synthetic(f"t{i}", t, 10 * i) for i, t in enumerate(temperatures)}
    quick = replace(PRESETS["default"], steps=300, width=8, learning_rate=1e-3)
    trainings: list[int] = []
    results = leave_one_out(tasks, quick, [0, 1], trainings.append)
    assert len(trainings) == 16 and [r.task for r in results] == list(tasks)
    summary = summarise(results)
    methods = [method for method in JUDGED_METHODS if method != "daca"]
    assert set(summary) == set(methods) and set(summary["floor"]) == set(OPTIONS)
    gain = differences(results)
    assert set(gain) == {"vanilla", "ts_cv", "oracle"}
    assert gain["vanilla"]["nll"].mean == pytest.approx(
        summary["thermometer"]["nll"].mean - summary["vanilla"]["nll"].mean
    )
    assert gain["vanilla"]["nll"].over_tasks < summary["vanilla"]["nll"].over_tasks * 2
    nll = {method: summary[method]["nll"].mean for method in methods}
    assert nll["oracle"] <= nll["thermometer"] < nll["ts_cv"] < nll["vanilla"]
    assert summary["thermometer"]["ece"].over_seeds > 0 == summary["ts_cv"]["ece"].over_seeds
    assert summary["floor"]["ece"].mean == pytest.approx(summary["oracle"]["ece"].mean, rel=0.3)
    for result, true in zip(results[1:-1], temperatures[1:-1], strict=True):
        assert np.mean(result.temperatures["thermometer"]) == pytest.approx(true, rel=0.25)


def test_a_sibling_s_run_has_a_row_of_its_own() -> None:
    """The sibling is the same model at temperature 1: DACA finds each task's temperature."""
    tasks = {f"t{i}": synthetic(f"t{i}", t, 10 * i) for i, t in enumerate((2.0, 3.0))}
    samples = {}
    for (name, task), t in zip(tasks.items(), (2.0, 3.0), strict=True):
        p = task.learn.predictions
        assert p.options is not None and p.golds is not None
        base = Predictions.from_flat(p.options.values / t, p.options.count, p.golds.values)
        order = np.random.default_rng(0).permutation(len(base))[:120]
        samples[f"calib_{name}"] = Samples(
            "base", name, Path("x"), base.take(order), doc_hash=task.learn.documents[order]
        )
    quick = replace(PRESETS["default"], steps=20, width=4)
    results = leave_one_out(tasks, quick, [0], reference=Run("base", samples))
    for result, t in zip(results, (2.0, 3.0), strict=True):
        assert result.temperatures["daca"] == [pytest.approx(t, rel=1e-3)]
    assert {"daca"} <= set(summarise(results)) and {"daca"} <= set(differences(results))
    with pytest.raises(InvalidInputError, match="--reference"):
        leave_one_out(tasks, quick, [0], reference=Run("base", {"t0": samples["calib_t0"]}))


def test_one_task_cannot_be_left_out() -> None:
    with pytest.raises(InvalidInputError, match="at least two, got t"):
        leave_one_out({"t": synthetic("t", 1.0, 0)}, PRESETS["default"], [0])


def test_the_command_prints_the_papers_table(
    tiny_model: Path, task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "default", replace(PRESETS["default"], steps=100))
    arguments = [
        "fit", "thermometer", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm,toy_several", "--include_path", task_folder,
        "--output", tmp_path / "t", "--leave-one-out", "--seeds", "2", "--limit", "9",
        "--mean", "arithmetic", "--preset", "default", "--features", tmp_path / "store",
    ]  # fmt: skip
    printed = run(*arguments).output
    for words in ("THERMOMETER", "finite-sample floor", "paired", "Task by task", "toy_several"):
        assert words in printed
    logged = json.loads((tmp_path / "t" / "leave_one_out.json").read_text())["held_out"]
    assert [len(r["temperatures"]["thermometer"]) for r in logged] == [2, 2]
    assert len(list((tmp_path / "store").rglob("*.safetensors"))) == 2
    config = json.loads((tmp_path / "t" / "config.json").read_text())
    assert config["settings"]["mean"] == "arithmetic" and config["tasks"]["toy_norm"] == 9
    assert run(*arguments).output == printed  # from the store, and for the same seeds


def test_arguments_that_cannot_be(tmp_path: Path, task_folder: Path) -> None:
    real = ["--tasks", "toy_norm", "--include_path", task_folder]
    for words, match in (
        ([], "Give --tasks"),
        (["--tasks", "x"], "`--tasks` must be names of harness tasks, got `x`"),
        (real, "`pretrained` must be given in --model_args, got nothing"),
        ([*real, "--model", "hf-fats"], "Unknown model `hf-fats`. Did you mean `hf-fast`"),
        (
            [*real, "--model_args", "pretrained=no/such"],
            "got `no/such`: there is no such folder",
        ),
        (["--tasks", "x", "--preset", "best"], "`--preset` must be paper or default"),
        (["--tasks", "x", "--mean", "geometric"], "`--mean` must be harmonic or arithmetic"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            run("fit", "thermometer", "--output", tmp_path, *words)
