"""`--model swag` in the harness: averaged options, draws that are logged, no leaks."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import lm_eval, run
from distrust import distrust
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from release import answers, only_0_4
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from lm_eval_calibration.calibrators.held_out import OtherModelError, SeenDocumentsError
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.logs import load_samples
from lm_eval_calibration.models.calibrated import CalibratedLM
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.trust import Trust
from lm_eval_calibration.models.swag import SwagLM
from lm_eval_calibration.models.thermometer import ThermometerLM
from lm_eval_calibration.swag import Draw, Posterior, load, lora

TASKS = ["calib_toy_norm", "toy_mutual", "calib_toy_several"]


def make(model: Path, folder: Path, **options: Any) -> SwagLM:
    settings = {"pretrained": str(model), "device": "cpu", "dtype": "float32", "scale": 1.0}
    return SwagLM(**{**settings, "swag": str(folder), **options})


def evaluate(lm: Any, tasks: Any, names: list[str] = TASKS, **options: Any) -> dict[str, Any]:
    return dict(
        simple_evaluate(model=lm, tasks=names, task_manager=tasks, bootstrap_iters=100, **options)
    )


def logits(results: dict[str, Any], task: str) -> list[np.ndarray]:
    """Log-likelihoods of every document's options, `acc_mutual_info`'s bare ones included."""
    return [
        np.array([float(answer[0]) for answer in answers(sample)])
        for sample in results["samples"][task]
    ]


@pytest.fixture(scope="module")
def averaged(tiny_model: Path, swag_folder: Path, tasks: Any) -> dict[str, Any]:
    """Three draws of each of two members."""
    return evaluate(make(tiny_model, swag_folder, samples=3), tasks)


@pytest.fixture(scope="module")
def by_hand(tiny_model: Path, swag_folder: Path, tasks: Any) -> list[dict[str, Any]]:
    """The same draws, each put into peft's model and evaluated by the harness's own `hf`."""
    found = []
    for number, member in enumerate(load(swag_folder)):
        posterior = Posterior(member.moments, Draw(1.0))
        for sample in range(3):
            lm = HFLM(
                pretrained=str(tiny_model), device="cpu", dtype="float32", batch_size=8,
                peft=str(swag_folder / f"member-{number}"),
            )  # fmt: skip
            lora.put(lm.model, posterior.sample(sample, number))
            found.append(evaluate(lm, tasks))
    return found


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("task", TASKS)
def test_option_probabilities_are_the_average_over_draws(
    averaged: dict[str, Any], by_hand: list[dict[str, Any]], task: str
) -> None:
    half = 2 if task == "toy_mutual" else 1
    for rows in zip(logits(averaged, task), *(logits(r, task) for r in by_hand), strict=True):
        for ours, *single in zip(*(np.split(row, half) for row in rows), strict=True):
            expected = np.mean([softmax(row) for row in single], axis=0)
            np.testing.assert_allclose(softmax(ours), expected, atol=1e-4)
            total = np.mean([np.logaddexp.reduce(row) for row in single])
            assert np.logaddexp.reduce(ours) == pytest.approx(total, abs=1e-3)


def test_a_twin_logs_every_draw_and_what_it_means(averaged: dict[str, Any]) -> None:
    row = averaged["results"]["calib_toy_norm"]
    samples = averaged["samples"]["calib_toy_norm"]
    assert row["draws,none"] == 6 and row["entropy_stderr,none"] > 0
    for sample in samples:
        p = np.array(sample["draws"])
        assert p.shape == (2, 3, len(answers(sample)))
        mean = p.mean(axis=(0, 1))
        ours = softmax([float(a[0]) for a in answers(sample)])
        np.testing.assert_allclose(mean, ours, atol=1e-6)
        assert sample["entropy"] == pytest.approx(entropy(mean), abs=1e-5)
        assert sample["mutual_information"] == pytest.approx(
            entropy(mean) - entropy(p, axis=2).mean(), abs=1e-5
        )
        votes = p.argmax(axis=2) != mean.argmax()
        assert sample["disagreement"] == pytest.approx(votes.mean())
    for name in ("entropy", "mutual_information", "expected_entropy", "disagreement"):
        assert row[f"{name},none"] == pytest.approx(np.mean([s[name] for s in samples]))
    json.dumps(samples[0]["draws"])
    assert "entropy,none" not in averaged["results"]["toy_mutual"]  # no twin


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_no_samples_are_the_mean_as_hf_loads_it(
    tiny_model: Path, swag_folder: Path, tasks: Any
) -> None:
    plain = FastHFLM(
        pretrained=str(tiny_model), device="cpu", dtype="float32",
        peft=str(swag_folder / "member-0"),
    )  # fmt: skip
    expected = evaluate(plain, tasks)
    for options in (
        {"method": "swag", "samples": 0},
        {"method": "swa"},
        {"scale": 0.0, "swag": swag_folder / "member-0"},
    ):
        found = evaluate(make(tiny_model, swag_folder, **options), tasks)
        for task in TASKS:
            for a, b in zip(logits(found, task), logits(expected, task), strict=True):
                np.testing.assert_array_equal(a, b)
            for name in ("acc,none", "acc_norm,none", "acc_mutual_info,none", "ece,none"):
                assert found["results"][task].get(name) == expected["results"][task].get(name)
        assert "draws,none" not in found["results"]["calib_toy_norm"]


@pytest.mark.parametrize("method", ["map", "mc_dropout", "ensemble", "swa", "swag", "multiswag"])
def test_methods(tiny_model: Path, swag_folder: Path, tasks: Any, method: str) -> None:
    results = evaluate(make(tiny_model, swag_folder, method=method, samples=2), tasks)
    said = results["config"]["swag"]
    draws = {"mc_dropout": 2, "ensemble": 2, "swag": 2, "multiswag": 4}.get(method, 1)
    assert said["members"] * said["samples"] == draws and said["method"] == method
    assert results["results"]["calib_toy_norm"].get("draws,none", 1) == draws
    again = evaluate(make(tiny_model, swag_folder, method=method, samples=2), tasks)
    for a, b in zip(logits(results, "toy_mutual"), logits(again, "toy_mutual"), strict=True):
        np.testing.assert_array_equal(a, b)
    if draws > 1:
        assert results["results"]["calib_toy_norm"]["mutual_information,none"] > 0


def test_the_results_say_how(averaged: dict[str, Any], swag_folder: Path) -> None:
    said = averaged["config"]["swag"]
    assert said["path"] == str(swag_folder) and said["method"] == "multiswag"
    assert said["scales"] == [1.0, 1.0] and said["fitted_on"] == {"toy_norm": 12}
    assert said["seen_documents"] == {}
    json.dumps(said)


@only_0_4("0.5 calls a member after where it stands")
def test_a_group_has_rows_of_uncertainty(tiny_model: Path, swag_folder: Path, tasks: Any) -> None:
    lm = make(tiny_model, swag_folder, samples=2, allow_other=True)  # (one member has a shot)
    results = evaluate(lm, tasks, ["calib_toy_group"], limit=6)["results"]
    members = [results[name]["entropy,none"] for name in results if "group" not in name]
    assert min(members) <= results["calib_toy_group"]["entropy,none"] <= max(members)


def test_the_logged_run_reads_back(
    tiny_model: Path, swag_folder: Path, task_folder: Path, tmp_path: Path
) -> None:
    """Through the command, and by `lm-calib score` and `lm-calib ood`."""
    for task in ("calib_toy_norm", "calib_toy_several"):
        lm_eval(
            "run", "--model", "swag", "--model_args",
            f"pretrained={tiny_model},dtype=float32,swag={swag_folder},samples=2,scale=1.0",
            "--device", "cpu", "--include_path", task_folder, "--log_samples", "--tasks", task,
            "--output_path", tmp_path / task,
        )  # fmt: skip
    (file,) = (tmp_path / "calib_toy_norm").rglob("samples_*.jsonl")
    assert len(load_samples(file)) == 40
    inside, outside = (tmp_path / task for task in ("calib_toy_norm", "calib_toy_several"))
    said = json.loads(run("ood", "--in", inside, "--out", outside, "--json").stdout)
    assert set(said["scores"]) == {
        "entropy", "max_probability", "mutual_information", "expected_entropy", "disagreement",
    }  # fmt: skip


def test_requests_without_options(tiny_model: Path, swag_folder: Path) -> None:
    """One continuation: the average probability; rolling and generation: the mean weights."""
    from requesting import requested

    def request(kind: str, *args: Any) -> Any:
        return requested(kind, args, of=("t", 0))

    lm = make(tiny_model, swag_folder, samples=2)
    one = lm.loglikelihood([request("loglikelihood", "ab", "cd")])[0]
    assert one[0] == pytest.approx(np.log(np.exp(one.draws).mean()))
    mean = make(tiny_model, swag_folder, method="swa")
    rolling = [request("loglikelihood_rolling", "some text")]
    assert lm.loglikelihood_rolling(rolling) == mean.loglikelihood_rolling(rolling)
    until = [request("generate_until", "ab", {"until": ["x"], "max_gen_toks": 4})]
    assert lm.generate_until(until) == mean.generate_until(until)


def test_recalibrators_map_the_average(
    tiny_model: Path, swag_folder: Path, task_folder: Path, tasks: Any, tmp_path: Path
) -> None:
    arguments = f"pretrained={tiny_model},dtype=float32,swag={swag_folder},samples=2,scale=1.0"
    run(
        "fit", "temperature", "--model", "swag", "--model_args", arguments, "--device", "cpu",
        "--tasks", "toy_several", "--include_path", task_folder, "--split", "test",
        "--output", tmp_path,
    )  # fmt: skip
    t = float(
        json.loads((tmp_path / "config.json").read_text())["parameters"]["all tasks"]["temperature"]
    )
    options = {"device": "cpu", "dtype": "float32", "samples": 2, "scale": 1.0, "allow_seen": True}
    inner = {"pretrained": str(tiny_model), "swag": str(swag_folder), **options}
    lm = CalibratedLM(base="swag", calibrator=str(tmp_path), **inner)
    scaled = evaluate(lm, tasks, ["calib_toy_norm"])
    plain = evaluate(make(tiny_model, swag_folder, samples=2), tasks, ["calib_toy_norm"])
    for a, b in zip(logits(scaled, "calib_toy_norm"), logits(plain, "calib_toy_norm"), strict=True):
        np.testing.assert_allclose(a, b / t, rtol=1e-9)
    assert "draws,none" not in scaled["results"]["calib_toy_norm"]


@pytest.mark.exhaustive
def test_thermometer_reads_the_draws_average(
    tiny_model: Path, swag_folder: Path, task_folder: Path, tasks: Any, tmp_path: Path
) -> None:
    arguments = f"pretrained={tiny_model},dtype=float32,swag={swag_folder},samples=2,scale=1.0"
    run(
        "fit", "thermometer", "--model", "swag", "--model_args", f"{arguments},allow_seen=True",
        "--device", "cpu", "--tasks", "toy_several", "--include_path", task_folder,
        "--split", "train", "--output", tmp_path,
    )  # fmt: skip
    inner = {"pretrained": str(tiny_model), "dtype": "float32", "device": "cpu"}
    lm = ThermometerLM(
        thermometer=str(tmp_path), base="swag", swag=str(swag_folder), samples=2, scale=1.0, **inner
    )
    found = evaluate(lm, tasks, ["calib_toy_norm"])
    t = lm.temperatures["toy_norm"]["temperature"]
    plain = evaluate(make(tiny_model, swag_folder, samples=2), tasks, ["calib_toy_norm"])
    for a, b in zip(logits(found, "calib_toy_norm"), logits(plain, "calib_toy_norm"), strict=True):
        np.testing.assert_allclose(log_softmax(a), log_softmax(b / t), atol=1e-6)
    with pytest.raises(CalibrationError, match="hidden states of `base=swag`'s draws"):
        evaluate(lm, tasks, ["calib_toy_norm"], use_cache=str(tmp_path / "cache"))
    with pytest.raises(OtherModelError, match=r"weights of .* are others"):
        ThermometerLM(thermometer=str(tmp_path), **inner)
    with pytest.raises(InvalidInputError, match="`base` must be hf-fast or swag"):
        ThermometerLM(thermometer=str(tmp_path), base="hf", **inner)


def test_documents_that_were_trained_on_are_refused(
    tiny_model: Path, swag_folder: Path, task_folder: Path, tmp_path: Path, caplog: Any
) -> None:
    from lm_eval.tasks import TaskManager

    text = (task_folder / "toy_norm.yaml").read_text()
    (tmp_path / "t.yaml").write_text(text.replace("test_split: test", "test_split: train"))
    tasks = TaskManager(include_path=str(tmp_path), include_defaults=False)
    lm = make(tiny_model, swag_folder, samples=1)
    with pytest.raises(SeenDocumentsError, match="12 of 12 of `toy_norm`"):
        evaluate(lm, tasks, ["toy_norm"])
    lm = make(tiny_model, swag_folder, samples=1, allow_seen=True)
    with caplog.at_level(logging.WARNING):
        results = evaluate(lm, tasks, ["toy_norm"])
    assert results["config"]["swag"]["seen_documents"] == {"toy_norm": 12}


def test_what_is_refused(tiny_model: Path, swag_folder: Path, tmp_path: Path, tasks: Any) -> None:
    for options, match in (
        ({"swag": ""}, "`swag` must be a folder of `lm-calib fit swag`"),
        ({"swag": str(tmp_path)}, "without swag.json"),
        ({"samples": -3}, "`samples` must be a whole number, at least 0, got -3"),
        ({"method": "swap"}, "Did you mean `swa"),
        ({"scale": -1}, "`scale` must be 0 or more"),
        ({"centring": "median"}, "running or final"),
        ({"low_rank": False, "diagonal": False}, "neither"),
        ({"tensors": "*head*"}, "`tensors` must be one of"),
        ({"member": 7}, "`member` must be from 0 to 1"),
        ({"peft": "x"}, "`peft` must be left out"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            make(tiny_model, swag_folder, **options)
    other = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32").model
    with torch.no_grad():
        other.model.layers[0].mlp.up_proj.weight += 0.5
    other.save_pretrained(tmp_path / "other")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "other" / file).write_bytes((tiny_model / file).read_bytes())
    with pytest.raises(OtherModelError, match=r"weights of .*other` are others"):
        make(tmp_path / "other", swag_folder)


@pytest.mark.exhaustive
def test_a_base_that_cannot_be_packed_is_averaged_all_the_same(
    tiny_model: Path, swag_folder: Path, tasks: Any, averaged: dict[str, Any]
) -> None:
    lm = make(tiny_model, swag_folder, samples=3)
    distrust(lm, "packed inputs and separate ones disagree on this architecture")
    found = evaluate(lm, tasks, ["calib_toy_norm"])
    for a, b in zip(
        logits(found, "calib_toy_norm"), logits(averaged, "calib_toy_norm"), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-3)
    assert found["results"]["calib_toy_norm"]["draws,none"] == 6


def test_the_engine_is_compared_with_hf_without_the_adapter(
    tiny_model: Path, swag_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A LoRA that makes bfloat16 noisy is no reason to distrust packed passes."""
    states = []
    lm = make(tiny_model, swag_folder, samples=1)
    inner = lm._adapted.base_model.model.model.layers[0].self_attn.q_proj
    compare = Trust._disagreement
    monkeypatch.setattr(
        Trust,
        "_disagreement",
        lambda self, *given: states.append(inner.disable_adapters) or compare(self, *given),
    )
    from requesting import requested

    lm.loglikelihood([requested("loglikelihood", ("ab", "cd"), of=("t", 0))])
    assert states == [True]
    assert not inner.disable_adapters
