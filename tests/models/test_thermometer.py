"""`--model thermometer` in the harness: one temperature a task, `acc` untouched, no leaks."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distrust import distrust
from lm_eval import simple_evaluate
from lm_eval.api.model import CachingLM
from release import answers
from requesting import requested

from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.calibrators.thermometer import Thermometer
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.thermometer import ThermometerLM

TASKS = ["calib_toy_norm", "calib_toy_several", "toy_mutual"]


def make(model: Path, folder: Path, **options: Any) -> ThermometerLM:
    settings = {"pretrained": str(model), "device": "cpu", "dtype": "float32"}
    return ThermometerLM(thermometer=str(folder), **settings, **options)


def evaluate(lm: Any, tasks: Any, names: list[str] = TASKS, **options: Any) -> dict[str, Any]:
    return dict(
        simple_evaluate(model=lm, tasks=names, task_manager=tasks, bootstrap_iters=0, **options)
    )


@pytest.fixture(scope="module")
def pair(tiny_model: Path, thermometer_folder: Path, tasks: Any) -> tuple[Any, Any, Any]:
    """The model with a thermometer, its results, and those without."""
    plain = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")
    lm = make(tiny_model, thermometer_folder)
    return lm, evaluate(lm, tasks), evaluate(plain, tasks)


def test_accuracies_stay_bit_for_bit(pair: tuple[Any, Any, Any]) -> None:
    _, with_it, without = pair
    for task in TASKS:
        for name in ("acc,none", "acc_norm,none", "acc_mutual_info,none"):
            assert with_it["results"][task].get(name) == without["results"][task].get(name)


def test_every_option_is_divided_by_its_tasks_temperature(pair: tuple[Any, Any, Any]) -> None:
    lm, with_it, without = pair
    for task in TASKS:
        t = lm.temperatures[task.removeprefix("calib_")]["temperature"]
        assert t != 1
        for a, b in zip(with_it["samples"][task], without["samples"][task], strict=True):
            for (x, _), (y, _) in zip(answers(a), answers(b), strict=True):
                assert x == y / t


def test_the_temperature_is_the_harmonic_mean_over_all_prompts(
    pair: tuple[Any, Any, Any], tiny_model: Path, thermometer_folder: Path
) -> None:
    """By hand: transformers' own hidden states, one prompt at a time."""
    lm, with_it, _ = pair
    network = Thermometer.from_pretrained(thermometer_folder)
    inverse = []
    for sample in with_it["samples"]["calib_toy_norm"]:
        prompt = torch.tensor([lm.tok_encode(sample["arguments"][0][0])])
        with torch.no_grad():
            states = lm.model(prompt, output_hidden_states=True).hidden_states[-1][:, -1]
        inverse.append(network.inverse_temperatures(states.numpy())[0])
    found = lm.temperatures["toy_norm"]
    assert found["temperature"] == pytest.approx(1 / np.mean(inverse), rel=1e-5)
    assert found["prompts"] == len(inverse) == 40
    low, high = found["spread"]
    assert low <= found["temperature"] <= high


def test_the_results_say_how(pair: tuple[Any, Any, Any], thermometer_folder: Path) -> None:
    lm, with_it, _ = pair
    said = with_it["config"]["thermometer"]
    assert said["path"] == str(thermometer_folder) and said["scope"] == "task"
    assert said["temperatures"] == lm.temperatures and said["seen_documents"] == {}
    json.dumps(said)


def test_limit_is_said_and_few_prompts_are_warned_of(
    tiny_model: Path, thermometer_folder: Path, tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lm = make(tiny_model, thermometer_folder)
    with caplog.at_level(logging.INFO):
        results = evaluate(lm, tasks, ["calib_toy_norm"], limit=1)
    assert results["config"]["thermometer"]["temperatures"]["toy_norm"]["prompts"] == 1
    texts = [r.message for r in caplog.records if "Task `toy_norm`" in r.message]
    assert "from 1 prompts" in texts[0] and "from 1 prompt(s) only; 30 or more" in texts[1]


def test_instance_scope(tiny_model: Path, thermometer_folder: Path, tasks: Any) -> None:
    lm = make(tiny_model, thermometer_folder, scope="instance")
    results = evaluate(lm, tasks, ["calib_toy_norm"])
    plain = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")
    ratios = [
        answers(b)[0][0] / answers(a)[0][0]
        for a, b in zip(
            results["samples"]["calib_toy_norm"],
            evaluate(plain, tasks, ["calib_toy_norm"])["samples"]["calib_toy_norm"],
            strict=True,
        )
    ]
    assert len({round(r, 6) for r in ratios}) > 10
    assert results["config"]["thermometer"]["scope"] == "instance"


@pytest.fixture(scope="module")
def seen_folder(tiny_model: Path, task_folder: Path, tmp_path_factory: Any) -> Path:
    """A thermometer that was trained on what the tasks evaluate."""
    from command import run

    folder = tmp_path_factory.mktemp("seen")
    run(
        "fit", "thermometer", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm", "--include_path", task_folder,
        "--output", folder, "--limit", "7",
    )  # fmt: skip
    return folder


def test_documents_it_was_trained_on_are_refused(
    tiny_model: Path, seen_folder: Path, tasks: Any
) -> None:
    with pytest.raises(SeenDocumentsError, match=r"7 of 40 of `toy_norm`.*allow_seen=true"):
        evaluate(make(tiny_model, seen_folder), tasks, ["calib_toy_norm"])
    lm = make(tiny_model, seen_folder, allow_seen=True)
    results = evaluate(lm, tasks, ["calib_toy_norm"])
    assert results["config"]["thermometer"]["seen_documents"] == {"toy_norm": 7}


def test_a_cache_is_refused_where_the_harness_hands_over_only_what_is_not_in_it(
    tiny_model: Path, thermometer_folder: Path, tasks: Any, workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(CachingLM, "hands_over_all", False)
    with pytest.raises(CalibrationError, match="hands over only documents that are not in"):
        evaluate(make(tiny_model, thermometer_folder), tasks, use_cache=str(workspace / "cache"))


def test_other_models_are_refused_by_name(
    tiny_model: Path, thermometer_folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.get_input_embeddings().weight.data += 0.1
    other = LlamaForCausalLM(type(model.config)(**{**model.config.to_dict(), "hidden_size": 16}))
    for name, changed, reason in (("weights", model, "are others"), ("size", other, "has 16")):
        changed.save_pretrained(tmp_path / name)
        AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / name)
        with pytest.raises(CalibrationError, match=reason) as caught:
            make(tmp_path / name, thermometer_folder)
        assert str(tiny_model) in str(caught.value) and str(tmp_path / name) in str(caught.value)


def test_the_same_model_in_another_folder_and_precision(
    tiny_model: Path, thermometer_folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.bfloat16)
    model.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    make(tmp_path, thermometer_folder)


def test_bad_arguments(tiny_model: Path, thermometer_folder: Path) -> None:
    with pytest.raises(InvalidInputError, match="`thermometer` must be a folder of"):
        ThermometerLM(pretrained=str(tiny_model))
    with pytest.raises(InvalidInputError, match="`scope` must be task or instance, got `document`"):
        make(tiny_model, thermometer_folder, scope="document")
    with pytest.raises(InvalidInputError, match="which is no folder here"):
        make(tiny_model, Path("not/there/it/is"))


def test_a_nan_state_is_named(tiny_model: Path, thermometer_folder: Path, tasks: Any) -> None:
    lm = make(tiny_model, thermometer_folder)
    evaluate(lm, tasks, ["calib_toy_norm"], limit=2)  # (the check against hf is over)
    lm.model.model.norm.weight.data[3] = float("nan")
    with pytest.raises(CalibrationError, match="Task `toy_norm`: a hidden state is NaN"):
        evaluate(lm, tasks, ["calib_toy_norm"], limit=2)


def test_a_model_that_cannot_be_packed_has_the_same_temperature(
    tiny_model: Path, thermometer_folder: Path, tasks: Any
) -> None:
    packed, plain = (make(tiny_model, thermometer_folder) for _ in range(2))
    distrust(plain.base, "packed inputs and separate ones disagree on this architecture")
    one, other = (
        evaluate(lm, tasks, ["calib_toy_norm"], limit=4)["results"]["calib_toy_norm"]
        for lm in (packed, plain)
    )
    for name in ("nll,none", "ece,none", "acc,none"):
        assert one[name] == pytest.approx(other[name], abs=1e-4)


def test_a_model_without_a_head_is_refused(
    tiny_model: Path, thermometer_folder: Path, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = make(tiny_model, thermometer_folder)
    distrust(lm.base, "packed inputs and separate ones disagree on this architecture")
    monkeypatch.setattr(type(lm.base.model), "get_output_embeddings", lambda self: None)
    with pytest.raises(CalibrationError, match=r"cannot be had: packed .* names no output"):
        evaluate(lm, tasks, ["calib_toy_norm"], limit=2)


def test_requests_without_options_are_hf_fasts(tiny_model: Path, thermometer_folder: Path) -> None:
    lm = make(tiny_model, thermometer_folder)
    plain = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")
    asked = [requested("loglikelihood", ("one", " two"), of=("lambada", 0))]
    assert lm.loglikelihood(asked) == plain.loglikelihood(asked)


@pytest.fixture(scope="module")
def larger(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sibling of another hidden size, with the same tokens."""
    from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("larger")
    config = AutoConfig.from_pretrained(tiny_model)
    torch.manual_seed(1)
    LlamaForCausalLM(type(config)(**{**config.to_dict(), "hidden_size": 48})).save_pretrained(
        folder
    )
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("base", ["hf-fast", "hf"])
def test_a_smaller_sibling_reads_the_prompts(
    base: str, larger: Path, tiny_model: Path, thermometer_folder: Path, tasks: Any,
    pair: tuple[Any, Any, Any], tmp_path: Path,
) -> None:  # fmt: skip
    lm = make(larger, thermometer_folder, reader=str(tiny_model), base=base)
    names, cache = ["calib_toy_norm"], str(tmp_path / "cache")
    found = evaluate(lm, tasks, names, use_cache=cache)
    plain = FastHFLM(pretrained=str(larger), device="cpu", dtype="float32")
    without = evaluate(plain, tasks, names)
    t = pair[0].temperatures["toy_norm"]["temperature"]  # (that of the reader's own run)
    assert lm.temperatures["toy_norm"]["temperature"] == pytest.approx(t, rel=1e-5)
    for a, b in zip(found["samples"][names[0]], without["samples"][names[0]], strict=True):
        expected = [y / t for (y, _) in answers(b)]
        assert [x for (x, _) in answers(a)] == pytest.approx(expected, rel=1e-4)
    assert found["config"]["thermometer"]["reader"] == str(tiny_model)
    again = make(larger, thermometer_folder, reader=str(tiny_model), base=base)
    again.base.loglikelihood = again._reader.observed = None  # (all is kept)
    kept = evaluate(again, tasks, names, use_cache=cache)
    assert kept["results"] == found["results"]


def test_a_reader_is_the_model_it_was_fitted_for(
    larger: Path, tiny_model: Path, thermometer_folder: Path
) -> None:
    with pytest.raises(CalibrationError, match=r"has 48. .* as `reader` the model"):
        make(larger, thermometer_folder)
    with pytest.raises(CalibrationError, match="has 48"):
        make(tiny_model, thermometer_folder, reader=str(larger))
    with pytest.raises(InvalidInputError, match="or name a `reader`, got `hf`"):
        make(tiny_model, thermometer_folder, base="hf")


def test_an_encoder_decoder_model_has_one(
    tiny_t5: Path, task_folder: Path, tasks: Any, tmp_path: Path
) -> None:
    """Its features are the decoder's states at its first place, as the paper has them of FLAN-T5."""
    from command import run

    from lm_eval_calibration.features import FeatureStore

    folder = tmp_path / "t5"
    run(
        "fit", "thermometer", "--model_args", f"pretrained={tiny_t5},dtype=float32", "--device",
        "cpu", "--tasks", "toy_norm", "--include_path", task_folder, "--split", "train",
        "--output", folder, "--limit", "12",
    )  # fmt: skip
    lm = make(tiny_t5, folder)
    found = evaluate(lm, tasks, ["calib_toy_norm"])
    plain = FastHFLM(pretrained=str(tiny_t5), device="cpu", dtype="float32")
    without = evaluate(plain, tasks, ["calib_toy_norm"])
    t = lm.temperatures["toy_norm"]["temperature"]
    pairs = zip(*(r["samples"]["calib_toy_norm"] for r in (found, without)), strict=True)
    for a, b in pairs:
        assert [x for x, _ in answers(a)] == pytest.approx([y / t for y, _ in answers(b)], rel=1e-4)
    network, inverse = Thermometer.from_pretrained(folder), []
    for sample in without["samples"]["calib_toy_norm"]:
        tokens = torch.tensor([plain.tok_encode(sample["arguments"][0][0])])
        with torch.no_grad():
            output = plain.model(
                tokens, decoder_input_ids=torch.tensor([[0]]), output_hidden_states=True
            )
        state = output.decoder_hidden_states[-1][:, 0].numpy()
        if plain.model.config.tie_word_embeddings:
            state = state * plain.model.config.d_model**-0.5
        inverse.append(network.inverse_temperatures(state)[0])
    assert 1 / np.mean(inverse) == pytest.approx(t, rel=1e-4)
    ((_, features), *_) = FeatureStore(folder / "features").stored()
    assert features.hidden.shape == (12, 32)
