"""vLLM itself as a base, in this process and behind `vllm serve` (`.ci/matrix vllm`)."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from release import answers

BIN = Path(sys.executable).parent
THERE = importlib.util.find_spec("vllm") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not THERE, reason="vLLM is not installed (.ci/matrix vllm installs it)"),
]
ENGINE = "dtype=float32,enforce_eager=True,max_model_len=1024"
ROOM = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
SETTINGS = "max_gen_toks=12"
TEXTS = {"self_consistency": "candidates=3", "self_correct": "candidates=2", "p_true": "",
         "likelihood": "", "semantic_entropy": "candidates=3,weights=true", "beliefs": "candidates=2"}  # fmt: skip
"""Wrappers of generated answers, with arguments."""


def lm_calib(*arguments: Any) -> str:
    done = subprocess.run([BIN / "lm-calib", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def model() -> str:
    return lm_calib("demo-model").strip().splitlines()[-1]


@pytest.fixture(scope="module")
def evaluate(tmp_path_factory: pytest.TempPathFactory, task_folder: Path) -> Any:
    def one(model: str, arguments: str, task: str, *more: str) -> tuple[Any, list[Any]]:
        out = tmp_path_factory.mktemp("run")
        command = [
            BIN / "lm_eval",
            "run",
            "--model",
            model,
            "--model_args",
            arguments,
            "--tasks",
            task,
        ]
        command += [
            "--include_path",
            task_folder,
            "--limit",
            "4",
            "--log_samples",
            "--output_path",
            out,
        ]
        command += ["--gen_kwargs", SETTINGS, *more]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ROOM})  # type: ignore[arg-type]
        assert done.returncode == 0, done.stderr[-5000:]
        (results,) = out.rglob("results_*.json")
        (samples,) = out.rglob("samples_*.jsonl")
        rows = map(json.loads, samples.read_text().splitlines())
        found = json.loads(results.read_text())["results"][task]
        return found, sorted(rows, key=lambda row: row["doc_id"])

    return one


@pytest.fixture(scope="module")
def adapters(model: str, tmp_path_factory: pytest.TempPathFactory, task_folder: Path) -> Path:
    """Two draws of each of two members, beside the posterior that they are of."""
    folder = tmp_path_factory.mktemp("posterior")
    lm_calib("fit", "swag", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu",
             "--tasks", "toy_norm", "--include_path", task_folder, "--split", "train", "--limit", "16",
             "--epochs", "1", "--swag_epochs", "1", "--snapshots_per_epoch", "2", "--rank", "2",
             "--scale", "4", "--members", "2", "--output", folder / "swag")  # fmt: skip
    lm_calib("swag", "export", folder / "swag", "--draws", "2", "--output", folder / "adapters")
    return folder / "adapters"


@pytest.fixture(scope="module")
def server(model: str, adapters: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`vllm serve`, with the adapters under their names."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    modules = [f"{each.name}={each}" for each in adapters.iterdir() if each.is_dir()]
    command = [BIN / "vllm", "serve", model, "--served-model-name", "smol", "--port", str(port)]
    command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", "1024", "--enable-lora"]
    command += ["--max-lora-rank", "8", "--lora-target-modules", "q_proj", "v_proj"]
    log = tmp_path_factory.mktemp("server") / "log"
    with (
        log.open("w") as file,
        subprocess.Popen(
            [*command, "--lora-modules", *modules],
            stdout=file,
            stderr=file,
            env={**os.environ, **ROOM},
        ) as running,
    ):
        try:
            _wait(f"http://127.0.0.1:{port}/v1/models", running, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            running.terminate()


def _wait(address: str, running: Any, log: Path) -> None:
    for _ in range(240):
        assert running.poll() is None, log.read_text()[-5000:]
        try:
            urllib.request.urlopen(address, timeout=5).read()
        except OSError:
            time.sleep(1)
        else:
            return
    pytest.fail(log.read_text()[-5000:])


def values(samples: list[Any]) -> Any:
    return np.array([float(answer[0]) for sample in samples for answer in answers(sample)])


def envelopes(samples: list[Any]) -> list[Any]:
    return [json.loads(sample["resps"][0][0]) for sample in samples]


@pytest.fixture(scope="module")
def temperature(model: str, tmp_path_factory: pytest.TempPathFactory, task_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("temperature") / "ts"
    lm_calib("fit", "temperature", "--model_args", f"pretrained={model},dtype=float32", "--device", "cpu",
             "--tasks", "toy_norm", "--include_path", task_folder, "--split", "train",
             "--output", folder)  # fmt: skip
    return folder


def test_a_twin_and_a_temperature(model: str, evaluate: Any, temperature: Path) -> None:
    of = f"pretrained={model},{ENGINE}"
    _, plain = evaluate(
        "hf", f"pretrained={model},dtype=float32", "calib_toy_norm", "--device", "cpu"
    )
    found, ours = evaluate("vllm", of, "calib_toy_norm")
    assert np.abs(values(ours) - values(plain)).max() < 1e-3
    after, mapped = evaluate(
        "calibrated", f"base=vllm,calibrator={temperature},{of}", "calib_toy_norm"
    )
    assert after["acc,none"] == found["acc,none"] and after["nll,none"] != found["nll,none"]
    assert np.ptp(values(mapped) / values(ours)) < 1e-6  # (one temperature)


@pytest.mark.parametrize("name", TEXTS)
def test_answers(model: str, evaluate: Any, name: str) -> None:
    """The task's own answer is what transformers says, and so is what its tokens had."""
    more = f",{TEXTS[name]}" if TEXTS[name] else ""
    task, chat = "calib_toy_generate", "--apply_chat_template"
    row, samples = evaluate(name, f"base=vllm,pretrained={model},{ENGINE}{more}", task, chat)
    assert np.isfinite(row["exact_match,none"]) and row["unanswered_rate,none"] < 1
    found = envelopes(samples)
    if name not in ("likelihood", "p_true"):
        assert all(len(set(each["candidates"])) > 1 for each in found)
        return
    _, theirs = evaluate(
        name, f"base=hf,pretrained={model},dtype=float32", task, chat, "--device", "cpu"
    )
    for one, other in zip(found, envelopes(theirs), strict=True):
        assert one["answer"] == other["answer"]
        assert one["confidence"] == pytest.approx(other["confidence"], rel=5e-3)


@pytest.mark.parametrize("name", ["verbalized", "option_tokens"])
def test_options_in_words_and_letters(model: str, evaluate: Any, name: str) -> None:
    row, samples = evaluate(
        name, f"base=vllm,pretrained={model},{ENGINE}", "calib_toy_norm", "--apply_chat_template"
    )
    assert np.isfinite(row["nll,none"])
    if name == "option_tokens":
        _, theirs = evaluate(
            name, f"base=hf,pretrained={model},dtype=float32", "calib_toy_norm",
            "--apply_chat_template", "--device", "cpu",
        )  # fmt: skip
        assert np.abs(values(samples) - values(theirs)).max() < 5e-3


def test_a_posterior_as_adapters(model: str, evaluate: Any, adapters: Path) -> None:
    swag = adapters.parent / "swag"
    averaged, theirs = evaluate(
        "swag",
        f"pretrained={model},dtype=float32,swag={swag},samples=2",
        "calib_toy_norm",
        "--device",
        "cpu",
    )
    of = f"base=vllm,pretrained={model},{ENGINE},adapters={adapters}"
    row, ours = evaluate("adapters", of, "calib_toy_norm")
    assert np.abs(values(ours) - values(theirs)).max() < 1e-3
    for name in ("nll,none", "mutual_information,none", "disagreement,none"):
        assert row[name] == pytest.approx(averaged[name], abs=1e-4)


def test_behind_its_server(
    server: str, model: str, evaluate: Any, adapters: Path, temperature: Path
) -> None:
    """Chat wrappers, letters, a temperature, and adapters by their names."""
    chat = f"model=smol,base_url={server}/chat/completions,num_concurrent=4"
    plain = f"model=smol,base_url={server}/completions,tokenizer={model},num_concurrent=4"
    for name, more in TEXTS.items():
        arguments = f"base=local-chat-completions,{chat}" + (f",{more}" if more else "")
        row, _ = evaluate(name, arguments, "calib_toy_generate", "--apply_chat_template")
        assert np.isfinite(row["exact_match,none"]) and row["unanswered_rate,none"] < 1
    for name in ("verbalized", "option_tokens"):
        row, _ = evaluate(
            name, f"base=local-chat-completions,{chat}", "calib_toy_norm", "--apply_chat_template"
        )
        assert np.isfinite(row["nll,none"])
    of = f"base=local-completions,{plain},allow_other=true"
    found, _ = evaluate("local-completions", plain, "calib_toy_norm")
    after, _ = evaluate("calibrated", f"{of},calibrator={temperature}", "calib_toy_norm")
    assert after["acc,none"] == found["acc,none"] and after["nll,none"] != found["nll,none"]
    _, theirs = evaluate(
        "swag", f"pretrained={model},dtype=float32,swag={adapters.parent / 'swag'},samples=2",
        "calib_toy_norm", "--device", "cpu",
    )  # fmt: skip
    _, ours = evaluate("adapters", f"{of},adapters={adapters}", "calib_toy_norm")
    assert np.abs(values(ours) - values(theirs)).max() < 1e-3
