"""The harness's own `vllm` class as the base of every wrapper, over a stub with vLLM's signatures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import run
from lm_eval import simple_evaluate
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.noted_replies import told_tokens
from lm_eval_calibration.models.shared.token_reading import of_answer
from lm_eval_calibration.verbal.letters import FOLLOWS, Token

pytestmark = pytest.mark.usefixtures("vllm")


def evaluate(tasks: Any, model: str, arguments: str, task: str, **more: Any) -> dict[str, Any]:
    return dict(
        simple_evaluate(
            model=model, model_args=arguments, tasks=[task], task_manager=tasks, limit=4,
            bootstrap_iters=20, gen_kwargs="max_gen_toks=6", **more,
        )
    )  # fmt: skip


def answers(found: dict[str, Any], task: str) -> Any:
    return [sample["resps"] for sample in found["samples"][task]]


def test_options_as_hf_has_them(tiny_model: Path, tiny_lm: Any, tasks: Any) -> None:
    ours = evaluate(tasks, "vllm", f"pretrained={tiny_model},dtype=float32", "calib_toy_norm")
    theirs = simple_evaluate(
        tiny_lm, tasks=["calib_toy_norm"], task_manager=tasks, limit=4, bootstrap_iters=20
    )
    for name in ("acc,none", "nll,none", "ece,none"):
        a, b = (found["results"]["calib_toy_norm"][name] for found in (ours, theirs))
        assert a == pytest.approx(b, abs=1e-4)


def test_a_recalibrator_behind_it(
    tiny_model: Path, task_folder: Path, tasks: Any, tmp_path: Path
) -> None:
    base = f"pretrained={tiny_model},dtype=float32"
    run("fit", "temperature", "--model", "vllm", "--model_args", base, "--tasks", "toy_norm",
        "--include_path", task_folder, "--split", "train", "--output", tmp_path)  # fmt: skip
    before = evaluate(tasks, "vllm", base, "calib_toy_norm")["results"]["calib_toy_norm"]
    after = evaluate(
        tasks, "calibrated", f"base=vllm,{base},calibrator={tmp_path}", "calib_toy_norm"
    )
    found = after["results"]["calib_toy_norm"]
    assert found["acc,none"] == before["acc,none"] and found["nll,none"] != before["nll,none"]


@pytest.mark.parametrize("model", ["self_consistency", "self_correct", "p_true"])
@pytest.mark.parametrize("chat", [False, True])
def test_what_it_generates(tiny_model: Path, tasks: Any, model: str, chat: bool) -> None:
    arguments = f"base=vllm,pretrained={tiny_model},dtype=float32"
    arguments += ",candidates=3" if model.startswith("self") else ""
    found = evaluate(tasks, model, arguments, "calib_toy_generate", apply_chat_template=chat)
    row = found["results"]["calib_toy_generate"]
    assert np.isfinite(row["exact_match,none"])
    for (reply,) in answers(found, "calib_toy_generate"):
        envelope = json.loads(reply[0])
        assert envelope["source"] == model
        if model.startswith("self"):
            assert len(set(envelope["candidates"])) == 3  # each sample has a seed of its own
    again = evaluate(tasks, model, arguments, "calib_toy_generate", apply_chat_template=chat)
    assert answers(found, "calib_toy_generate") == answers(again, "calib_toy_generate")


def test_stated_probabilities(tiny_model: Path, tasks: Any) -> None:
    arguments = f"base=vllm,pretrained={tiny_model},dtype=float32,max_length=4096"
    found = evaluate(tasks, "verbalized", arguments, "calib_toy_norm", apply_chat_template=True)
    assert found["results"]["calib_toy_norm"]["cut_rate,none"] == 1.0  # (it only babbles)


def envelopes(tasks: Any, model: str, arguments: str) -> list[dict[str, Any]]:
    found = evaluate(tasks, model, f"{arguments},dtype=float32", "calib_toy_generate")
    return [json.loads(reply[0]) for (reply,) in answers(found, "calib_toy_generate")]


def test_its_own_tokens_of_the_answer(tiny_model: Path, tasks: Any) -> None:
    """Told with it, as a pass of transformers finds them."""
    model = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    found = evaluate(
        tasks,
        "likelihood",
        f"base=vllm,pretrained={tiny_model},dtype=float32",
        "calib_toy_generate",
    )
    for sample in found["samples"]["calib_toy_generate"]:
        told = json.loads(sample["resps"][0][0])["told"]
        prompt = tokenizer(sample["arguments"][0][0], return_tensors="pt").input_ids
        out = model.generate(
            prompt, max_new_tokens=6, do_sample=False, output_logits=True,
            return_dict_in_generate=True,
        )  # fmt: skip
        logs = torch.stack(out.logits)[:, 0].log_softmax(-1)
        said = logs.gather(1, out.sequences[0, prompt.shape[1] :, None])
        assert told["sequence"] == pytest.approx(said.sum().exp().item(), rel=1e-3)
        assert told["least"] == pytest.approx(said.min().exp().item(), rel=1e-3)
        assert {"margin", "entropy"} <= told.keys()


@pytest.mark.parametrize(
    "text", ["", "plain", "na\u00efve \U0001f389", "\u4e2d\u6587 end", "\U0001f389"]
)
def test_each_token_s_own_text(tiny_model: Path, text: str) -> None:
    """Together they are the text, and a character of several tokens is the first one's."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    numbers = tokenizer(text, add_special_tokens=False).input_ids
    texts = [t.text for t in told_tokens(tokenizer, numbers, [()] * len(numbers))]
    assert len(texts) == len(numbers) and "".join(texts).replace(FOLLOWS, "") == text
    tokens = [Token(each) for each in texts]
    assert list(of_answer(tokens, text)) == tokens


def test_its_own_tokens_of_samples(tiny_model: Path, tasks: Any) -> None:
    arguments = f"base=vllm,pretrained={tiny_model},candidates=3,weights=true,temperature=0.5"
    for envelope in envelopes(tasks, "semantic_entropy", arguments):
        weights = {tuple(pair) for pair in envelope["weights"]}
        assert len(weights) == len(set(envelope["candidates"])) > 1  # each has its own


def test_a_posterior_s_draws(
    tiny_model: Path, swag_folder: Path, tasks: Any, tmp_path: Path
) -> None:
    """Averaged as `--model swag` averages them."""
    run("swag", "export", swag_folder, "--draws", "2", "--output", tmp_path / "draws")
    of = f"pretrained={tiny_model},dtype=float32"
    ours = evaluate(
        tasks, "adapters", f"base=vllm,{of},adapters={tmp_path / 'draws'}", "calib_toy_norm"
    )
    theirs = evaluate(
        tasks, "swag", f"{of},device=cpu,swag={swag_folder},samples=2", "calib_toy_norm"
    )
    for name, value in theirs["results"]["calib_toy_norm"].items():
        if isinstance(value, float):
            assert ours["results"]["calib_toy_norm"][name] == pytest.approx(
                value, abs=2e-3, nan_ok=True
            )
    for one, other in zip(*(f["samples"]["calib_toy_norm"] for f in (ours, theirs)), strict=True):
        np.testing.assert_allclose(one["draws"], other["draws"], atol=1e-5)
    with pytest.raises(InvalidInputError, match="one that loads adapters"):
        evaluate(tasks, "adapters", f"base=hf,{of},adapters={tmp_path / 'draws'}", "calib_toy_norm")
