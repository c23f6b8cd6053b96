"""Forty secrets, in whatever may hold one; then every command, and every byte that it leaves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_lines import line
from PIL import Image

from lm_eval_calibration.cli.app import main

DATE = "2026-01-02T03-04-05.678901"
SECRETS = [f"Zq{i:02d}kP9x{i * 7919 % 9973:04d}vW" for i in range(28)] + [
    "sk-proj-Ab12Cd34Ef56Gh78Ij90",
    "sk-ant-api03-Zz9Yy8Xx7Ww6Vv5",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
    "ghp_0123456789abcdefABCDEF0123456789abcd",
    "xoxb-123456789012-abcdefABCDEF",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "gsk_abcdef1234567890ABCDEF12",
    "glpat-abcDEF123456-_xyz7890",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "Tr0ub4dor&3<\"é'\\x",
    "84736251948",
]
S = SECRETS


def results(model: str) -> dict[str, Any]:
    """What the harness would have written of a careless command."""
    arguments: dict[str, Any] = {
        "model": model, "api_key": S[0], "base_url": f"https://me:{S[1]}@host/v1?api-version=1&sig={S[2]}",
        "header": {"Authorization": f"Bearer {S[3]}", "X-Gateway": S[4], "Cookie": f"sid={S[5]}; a=b"},
        "token": S[6], "auth": ["user", S[7]], "client": {"credentials": {"secret": S[8]}},
        "max_gen_toks": 17, "eos_token": "</s>", "password": 84736251948,
    }  # fmt: skip
    text = f"model={model},api_key={S[9]},base_url=http://x:{S[10]}@h/?key={S[11]},max_gen_toks=18"
    return {
        "results": {"toy": {"acc,none": 0.5}, "toy_b": {"acc,none": 0.5}},
        "group_subtasks": {"toys": ["toy", "toy_b"]},
        "configs": {
            "toy": {
                "task": "toy", "dataset_kwargs": {"token": S[12], "storage_options": {"key": S[13]}},
                "metadata": {**arguments, "hf_token": S[14], "aws_secret_access_key": S[15]},
                "description": f"Use {S[29]} or {S[30]}.", "doc_to_text": f"curl -H 'x-api-key: {S[16]}'",
            },
            "toy_b": {"task": "toy_b", "metadata": json.dumps({"private_key": S[17], "n": 1})},
        },
        "versions": {"toy": 1.0, "toy_b": 1.0},
        "config": {
            "model": "local-completions", "model_args": arguments if model == "m1" else text,
            "gen_kwargs": {"extra_body": {"api_key": S[18]}, "stop": [S[31]]},
            "device": f"--token {S[19]}", "batch_size": f"{{'api_key': '{S[20]}'}}",
        },
        "system_instruction": f"You are {S[32]}. Password: {S[21]}",
        "pretty_env_info": f"PyTorch: 2\nHF_TOKEN={S[22]}\nWANDB_API_KEY: {S[23]}\n{S[33]} {S[34]}",
        "model_name": f"https://{S[24]}@hub/{model}-{S[0]}", "lm_eval_version": "0.4.13", "date": 1.0e9,
        "error": f"request to ftp://a:{S[25]}@h failed with {S[35]} {S[36]} {S[37]}",
        "secret": S[38], "proxies": {"https": f"http://p:{S[26]}@proxy:8080"},
        "nested": json.dumps({"a": json.dumps({"refresh_token": S[27]})}), "again": S[28],
    }  # fmt: skip


def write_run(folder: Path, model: str, seed: int, first: int = 0) -> Path:
    inner = folder / model
    inner.mkdir(parents=True)
    (inner / f"results_{DATE}.json").write_text(json.dumps(results(model)))
    rng = np.random.default_rng(seed)
    for task in ("toy", "toy_b"):
        lines = []
        for i in range(first, first + 40):
            scores = (-rng.gamma(2, 1.5, 2)).round(3).tolist()
            text = f"{task} {i}: {' '.join(SECRETS[i % 40 :][:3])}"
            given = {
                f"gen_args_{k}": {"arg_0": text, "arg_1": f" {option}"}
                for k, option in enumerate(("yes", "no"))
            }
            number = i + 1000 * (task == "toy_b")
            made = line(number, arguments=given, scores=scores, doc={"q": text})
            lines.append(json.dumps({**made, "doc_hash": f"{number + 1:016x}" * 4}))
        (inner / f"samples_{task}_{DATE}.jsonl").write_text("\n".join(lines) + "\n")
    return inner


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Run a command as a stranger would; its status, and all that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", S[0])

    def call(*arguments: object, status: int | None = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["lm-calib", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        assert status in (left.value.code, None), (arguments, out, err)
        return out + err

    return call


def check(text: str, what: object) -> None:
    spelt = {*SECRETS, json.dumps(S[38])[1:-1], repr(S[38])[1:-1], "Tr0ub4dor"}
    assert not [s for s in spelt if s in text], what


def test_no_command_tells_one(tmp_path: Path, told: Callable[..., str]) -> None:
    one, two = write_run(tmp_path / "runs", "m1", 1), write_run(tmp_path / "runs", "m2", 2)
    other = write_run(tmp_path / "other", "m1", 3, first=500)
    assert len(set(SECRETS)) == 40
    kept = {path for path in tmp_path.rglob("*") if path.is_file()}
    few = ("--replicates", 20)
    commands: list[tuple[object, ...]] = [
        *(("score", one, *few, *how) for how in ((), ("--json",))),
        ("score", f"{S[28]}={one}", *few, "--json"),
        *(("compare", one, two, *few, *how) for how in ((), ("--json",))),
        ("compare", one, two, "--metrics", "acc", *few, "--trend", "out/trend.svg"),
        ("report", one, two, *few, "-o", "out/report.html", "--figures", "out/figures"),
        ("diagram", f"{S[30]}={one}", two, "-o", "out/diagram.png"),
        ("diagram", f"{S[30]}={one}", two, "-o", "out/diagram.svg"),
        ("thresholds", "--fit", one, "--test", other, "--json"),
        ("ood", "--in", one, "--out", other, *few, "--csv"),
        ("fit", "temperature", "--samples", one, "-o", "out/temperature"),
        ("score", other, "--calibrator", "out/temperature", *few),
        ("scrub", tmp_path / "runs", "-o", "out/copy"),
    ]
    for command in commands:
        check(told(*command), command)
    read = [path for path in tmp_path.rglob("*") if path.is_file() and path not in kept]
    assert len(read) > 20
    for path in read:
        check(str(path.relative_to(tmp_path)), path)
        check(path.read_bytes().decode("utf-8", "replace"), path)
        if path.suffix == ".png":
            with Image.open(path) as image:
                check(str(image.info), path)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("[redacted]") > 60
    for innocent in (
        "max_gen_toks",
        "eos_token",
        "&lt;/s&gt;",
        "PyTorch: 2",
        "api-version=1",
        "toy 3",
    ):
        assert innocent in page, innocent


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", ["--csv", "--markdown"])
@pytest.mark.parametrize("command", ["score", "compare"])
def test_no_other_form_tells_one(
    command: str, how: str, tmp_path: Path, told: Callable[..., str]
) -> None:
    runs = [write_run(tmp_path / "runs", f"m{i}", i) for i in (1, 2)]
    asked = (command, *runs[: 1 + (command == "compare")], "--replicates", 20, how)
    check(told(*asked), asked)


def test_no_error_tells_one(tmp_path: Path, told: Callable[..., str]) -> None:
    run = write_run(tmp_path / "runs", "m1", 1)
    samples = run / f"samples_toy_{DATE}.jsonl"
    table = tmp_path / "table.csv"
    table.write_text(f"c,r,m\n{S[28]},1,a\n")
    broken = [
        json.dumps(line(0, target=f"pw {S[0]}", filtered_resps=[[S[1], "x"], ["-1", "x"]])),
        json.dumps(line(0, filtered_resps=S[3])),
        json.dumps(line(0, target=S[31], doc_hash=S[2])),
    ]
    model = ("fit", "temperature", "--tasks", "arc_easy", "-o", "out", "--model")
    failing: list[tuple[int, tuple[object, ...]]] = [
        (2, ("score", f"{S[28]}=nothing")),
        (2, ("score", run, "--replicates", S[29])),
        (2, ("score", run, f"--api-key={S[0]}")),
        (2, ("score", run, "--metrics", S[32])),
        (2, ("score", run, "--filter", S[33])),
        (2, ("score", table, "--confidence", "c", "--correct", "r", "--model", "m")),
        (2, ("score", table, "--confidence", S[34], "--correct", "r")),
        (2, ("nothing", S[35])),
        (2, (*model, "hf", "--model_args", f"pretrained=/no/where,nothing=1,token={S[0]}")),
        (2, (*model, "hf", "--model_args", f"pretrained=x:{S[1]}@y,api_key={S[39]},hf_token={S[5]}")),
        (2, (*model, "local-completions", "--model_args", f"base_url=http://a:{S[2]}@h,api_key={S[3]},x=1")),
        (2, (*model, S[36], "--model_args", f"password={S[4]}")),
        (2, (*model, "p_true", "--model_args", f"base=hf,pretrained=/no/where,api_key={S[6]}")),
    ]  # fmt: skip
    for status, command in failing:
        check(told(*command, status=status), command)
    for text in broken:
        samples.write_text(text + "\n")
        check(told("score", samples, status=2), text)
        check(told("report", run, status=None), text)


def test_what_nobody_expected(
    told: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "runs", "m1", 1)

    def fails(*_: Any, **__: Any) -> None:
        try:
            raise KeyError(f"header Bearer {S[3]}")
        except KeyError as error:
            raise RuntimeError(f"no route to http://me:{S[1]}@h, key {S[0]}, {S[28]}") from error

    monkeypatch.setattr("lm_eval_calibration.cli.source.load", fails)
    text = told("score", run, status=1)
    assert "RuntimeError" in text and "Traceback" in text
    check(text, "traceback")


def test_artifacts_and_stores_are_called_by_no_secret(tmp_path: Path) -> None:
    from lm_eval_calibration.calibrators import Calibrator, Training
    from lm_eval_calibration.fractal.encoders import Encoder

    model = f"base=hf,base_url=http://a:{S[1]}@h,api_key={S[0]}"
    training = Training({"toy": 3}, np.array([1], np.uint64), model)
    parameters = {"": {"temperature": np.array(2.0)}}
    Calibrator("temperature", parameters, training).save_pretrained(tmp_path / "a")
    assert Calibrator.from_pretrained(str(tmp_path / "a")).training.tasks == {"toy": 3}
    check(str(Encoder(f"http://a:{S[2]}@h/x?token={S[28]}", tmp_path)._folder), "encoder")
    for path in (tmp_path / "a").iterdir():
        check(path.read_bytes().decode("utf-8", "replace"), path)
