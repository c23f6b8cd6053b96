"""A real OpenAI-compatible server (llama.cpp) behind the wrappers (make test-slow)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.cli.demo_model import _gguf
from lm_eval_calibration.errors import CalibrationError

BIN = Path(sys.executable).parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of chat completions."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed (make test-slow installs it)")
    try:
        model = _gguf()
    except CalibrationError as error:
        pytest.skip(str(error))
    command = [sys.executable, Path(__file__).parent / "llama_server.py", model]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield f"{process.stdout.readline().strip()}/v1/chat/completions"
        process.stdin.close()


def evaluated(model: str, server: str, out: Path, **options: Any) -> tuple[dict, list[dict]]:
    arguments = {"base": "local-chat-completions", "model": "m", "base_url": server, **options}
    text = ",".join(f"{name}={value}" for name, value in arguments.items())
    run = [BIN / "lm_eval", "--model", model, "--model_args", text, "--tasks", "calib_triviaqa"]
    more = ["--apply_chat_template", "--limit", "6", "--gen_kwargs", "max_gen_toks=16"]
    subprocess.run([*run, *more, "--log_samples", "--output_path", out], check=True)
    (path,) = out.rglob("results_*.json")
    (logged,) = out.rglob("samples_*.jsonl")
    lines = [json.loads(line) for line in logged.read_text().splitlines()]
    return json.loads(path.read_text())["results"]["calib_triviaqa"], lines


def test_self_correct(
    server: str, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools of different answers, words of a discriminator, and figures of both."""
    monkeypatch.chdir(data_folder)
    row, lines = evaluated("self_correct", server, tmp_path, num_concurrent=4)
    assert row["sample_len"] == 6 and 0 <= row["invalid_rate,remove_whitespace"] <= 1
    pools = [line["envelopes"]["candidates"] for line in lines]
    assert all(len(pool) == 4 for pool in pools) and any(len(set(pool)) > 1 for pool in pools)
    assert all(len(line["envelopes"]["said"]) == 4 for line in lines)
    done = subprocess.run(
        [BIN / "lm-calib", "pools", tmp_path], check=True, capture_output=True, text=True
    )
    assert "6 documents with 4 candidates" in done.stdout


def test_p_true(
    server: str, data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has no log-likelihoods of prompts, so a number is asked for."""
    monkeypatch.chdir(data_folder)
    row, lines = evaluated("p_true", server, tmp_path)
    assert "invalid_rate,remove_whitespace" in row
    for line in lines:
        said = line["envelopes"]
        assert len(said["said"]) == 1 and 0 <= said["confidence"] <= 1
