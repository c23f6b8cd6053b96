"""Scored responses as training sets: what is written, what is left out, and that TRL reads it."""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from command import run
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError, OutputError
from lm_eval_calibration.exports.training_sets import (
    TrainingResponse,
    choices,
    pairs,
    rewards,
    steps,
)
from lm_eval_calibration.fitting.responses import of_samples
from lm_eval_calibration.fractal.responses import Response

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CHAT = [{"role": "user", "content": "Six times seven?"}]


def scored(
    text: str, confidence: float, label: float = math.nan, document: int = 0, prompt: Any = "Q:"
) -> TrainingResponse:
    sentences = tuple(text.split("|"))
    response = Response("Q", sentences, label, document=document, prompt=prompt, text=text)
    return TrainingResponse(response, (confidence,) * len(sentences), confidence)


def test_a_reward_for_each_sentence() -> None:
    text, chat = rewards([scored("a|b", 0.25, 1.0), scored("c", 0.5, prompt=CHAT)])
    assert text == {
        "prompt": "Q:", "completion": "a|b", "sentences": ["a", "b"], "rewards": [0.25, 0.25],
        "reward": 0.25, "label": 1.0,
    }  # fmt: skip
    assert chat["prompt"] == CHAT and chat["label"] is None
    assert chat["completion"] == [{"role": "assistant", "content": "c"}]


def test_steps_are_texts() -> None:
    (found,) = steps([scored("a|b", 0.5, prompt=CHAT)], 0.5)
    assert found == {"prompt": "Q", "completions": ["a", "b"], "labels": [True, True]}
    (found,) = steps([scored("a|b", 0.49)], 0.5)
    assert found == {"prompt": "Q:", "completions": ["a", "b"], "labels": [False, False]}


def test_pairs_by_scores_and_by_labels() -> None:
    some = [scored("x", 0.9, 0.0), scored("y", 0.2, 1.0), scored("z", 0.5, 1.0)]
    (by_scores,), (by_labels,) = pairs(some), pairs(some, "labels")
    assert (by_scores["chosen"], by_scores["rejected"]) == ("x", "y")
    assert by_scores["margin"] == pytest.approx(0.7)
    assert (by_labels["chosen"], by_labels["rejected"]) == ("y", "x")
    assert not list(pairs(some, margin=0.7)) and not list(
        pairs([scored("x", 0.9), scored("x ", 0.1)])
    )
    with pytest.raises(InvalidInputError, match="`--by` must be scores or labels, got `luck`"):
        list(pairs(some, "luck"))
    with pytest.raises(InvalidInputError, match="No response has a label"):
        list(pairs([scored("x", 0.9)], "labels"))


texts = st.sampled_from(["a", "b", "c|d"])
numbers = st.integers(0, 4).map(lambda n: n / 4)
some = st.lists(
    st.builds(scored, texts, numbers, numbers, st.integers(0, 3)), min_size=1, max_size=12
)


@given(some, numbers, st.sampled_from(["scores", "labels"]))
@settings(derandomize=True, deadline=None, max_examples=150)
def test_a_pair_is_of_one_document_and_ordered(
    responses: list[TrainingResponse], margin: float, by: str
) -> None:
    found = list(pairs(responses, by, margin))
    assert len(found) <= len({one.response.document for one in responses})
    for pair in found:
        assert pair["margin"] > margin and pair["chosen"] != pair["rejected"]
        values = [
            [c if by == "scores" else r.label for r, _, c in responses if r.text == pair[side]]
            for side in ("chosen", "rejected")
        ]
        assert max(values[0]) - min(values[1]) >= pair["margin"]
    assert len(list(rewards(responses))) == len(list(steps(responses))) == len(responses)


def test_choices_put_right_candidates_at_each_place() -> None:
    pools = [
        [scored(f"{document}{name}", 0.5, float(name == "c"), document).response for name in "abcd"]
        for document in range(8)
    ]
    found = list(choices([response for pool in pools for response in pool]))
    places = [int(line["completion"][0]["content"]) for line in found]
    assert sorted(places) == [1, 1, 2, 2, 3, 3, 4, 4]
    for document, (line, place) in enumerate(zip(found, places, strict=True)):
        (turn,) = line["prompt"]
        assert f"Answer {place}: {document}c" in turn["content"] and turn["role"] == "user"
    every = [scored("x", 0.5, 1.0).response, scored("y", 0.5, 1.0).response]
    assert not list(choices(every))  # (nothing to tell apart)


def test_pools_are_exported_for_a_discriminator(generated_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "choices.jsonl"
    run("pools", generated_folder, "--export", output, "--replicates", 20)
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert lines and all({"prompt", "completion"} <= set(line) for line in lines)
    (tmp_path / "theirs.txt").write_text("mine")
    with pytest.raises(OutputError):
        run("pools", generated_folder, "--export", tmp_path / "theirs.txt")


@pytest.fixture
def scorer(toy_encoder: Any, generated_folder: Path, tmp_path: Path) -> Path:
    run(
        "fit", "fractal", "--samples", generated_folder, "--label", "exact_match", "--output",
        tmp_path / "frac", "--epochs", 2, "--weights", "0.8,0.1,0.1",
    )  # fmt: skip
    return tmp_path / "frac"


def exported(folder: Path, output: Path, *more: object) -> list[dict[str, Any]]:
    said = run("fractal", "export", folder, "-o", output, *more).output
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    assert f"{len(lines):,} lines of" in said
    return lines


def test_a_logged_run_becomes_training_sets(
    scorer: Path, generated_folder: Path, tmp_path: Path
) -> None:
    chosen = exported(
        generated_folder, tmp_path / "pairs.jsonl", "--as", "pairs", "--scorer", scorer
    )
    assert {"prompt", "chosen", "rejected", "margin"} <= set(chosen[0])
    graded = exported(
        generated_folder, tmp_path / "graded.jsonl", "--as", "pairs", "--by", "labels", "--label",
        "exact_match",
    )  # fmt: skip
    assert {line["margin"] for line in graded} == {1.0}
    every = exported(
        generated_folder, tmp_path / "r.jsonl", "--as", "rewards", "--scorer", scorer, "--label",
        "exact_match",
    )  # fmt: skip
    by_text = {(line["prompt"], line["completion"]): line["label"] for line in every}
    for line in graded:
        assert by_text[line["prompt"], line["chosen"]] == 1
        assert by_text[line["prompt"], line["rejected"]] == 0
    stepped = exported(generated_folder, tmp_path / "s.jsonl", "--as", "steps", "--scorer", scorer)
    assert len(stepped) == len(every)
    assert [line["completions"] for line in stepped] == [line["sentences"] for line in every]


def test_what_cannot_be_written(scorer: Path, generated_folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "x.jsonl"
    for more, match in (
        (("--as", "trees"), "`--as` must be rewards, pairs, steps, got `trees`"),
        (("--as", "pairs", "--by", "labels"), "`--label` must be the metric"),
        (("--as", "rewards"), "`scorer` must be a folder"),
        (("--as", "pairs", "--scorer", scorer, "--margin", 5), "no document has candidates that"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            run("fractal", "export", generated_folder, "-o", output, *more)
    assert not output.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # (of the trainers)
def test_trl_trains_on_them(
    scorer: Path, generated_folder: Path, tiny_model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The recipe's DPO and a step of a reward model on pairs, and the tokens of a process reward model."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    trl = pytest.importorskip("trl")
    from datasets import load_dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from trl.experimental.prm import PRMTrainer

    for shape in ("pairs", "steps"):
        exported(generated_folder, tmp_path / f"{shape}.jsonl", "--as", shape, "--scorer", scorer)
    read = {
        shape: load_dataset(
            "json", data_files=str(tmp_path / f"{shape}.jsonl"), split="train",
            cache_dir=str(tmp_path / "cache"),
        )
        for shape in ("pairs", "steps")
    }  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.pad_token = tokenizer.eos_token
    options = {
        "max_steps": 1, "per_device_train_batch_size": 2, "report_to": [], "use_cpu": True,
        "bf16": False, "gradient_checkpointing": False,
    }  # fmt: skip
    tune(tmp_path / "pairs.jsonl", tiny_model, tmp_path / "dpo", monkeypatch)
    judge = AutoModelForSequenceClassification.from_pretrained(tiny_model, num_labels=1)
    judge.config.pad_token_id = tokenizer.pad_token_id
    reward = trl.RewardTrainer(
        judge, args=trl.RewardConfig(str(tmp_path / "reward"), **options),
        train_dataset=read["pairs"], processing_class=tokenizer,
    )  # fmt: skip
    assert math.isfinite(reward.train().training_loss)
    for row in read["steps"]:
        made = PRMTrainer.tokenize_row(row, tokenizer, "\n", None, None, False, False)
        assert sum(label != -100 for label in made["labels"]) == len(row["completions"])


def tune(file: Path, model: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the recipe whole; what it leaves is an adapter that peft reads and that is not zero."""
    from peft import AutoPeftModelForCausalLM

    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    recipe = importlib.import_module("tuning")
    recipe.main([
        str(file), "--model", str(model), "--output", str(output), "--dtype", "float32", "--device", "cpu",
        "--max_length", "2048",
    ])  # fmt: skip
    weights = AutoPeftModelForCausalLM.from_pretrained(output).named_parameters()
    assert any(value.abs().max() > 0 for name, value in weights if "lora_B" in name)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_discriminator_is_trained_on_choices(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl")
    pool = [scored("42", 0.5, 1.0).response, scored("43", 0.5, 0.0).response]
    file = tmp_path / "choices.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in choices(pool)) * 8)
    tune(file, tiny_model, tmp_path / "sft", monkeypatch)


def test_a_label_that_the_task_does_not_log_is_refused(
    generated_folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        InvalidInputError, match=r"no metric `exact_matsh` in this line; .*exact_match"
    ):
        of_samples([str(generated_folder)], "exact_matsh", "sentences", "strict")
