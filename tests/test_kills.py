"""SIGKILL at random moments: what is started again goes on, and ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import Child, Work, digests
from command import run
from lm_eval import simple_evaluate
from mutations import ours
from watched import LOG, asked_again, watch

from lm_eval_calibration.calibrators import load
from lm_eval_calibration.files import JSON, write_text
from lm_eval_calibration.fitting import collect, task_documents
from lm_eval_calibration.fractal import SentenceScorer
from lm_eval_calibration.swag import load as load_swag

KILLS = int(os.environ.get("KILLS", "20"))
PART = 8
ASKED = "asked.jsonl"
Compare = Callable[[Path, Path], object]
pytestmark = pytest.mark.slow


def killed_often(
    work: Work, tmp_path: Path, check: Callable[[Path], object], same: str | Compare
) -> None:
    """Kill the work `KILLS` times, then let it end, and compare with an undisturbed run.

    Args:
        work: writes into the folder that it is given; what it asks of a model is told to `LOG`.
        tmp_path: for both.
        check: called after each kill; may refuse what is there, by our own error alone.
        same: glob of the files that must be alike in the end, or what compares the two folders.
    """
    whole, output = tmp_path / "whole", tmp_path / "killed"

    def logged(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        LOG.path = tmp_path / f"{folder.name}-{ASKED}"
        work(folder)

    start = time.monotonic()
    Child(logged, whole, tmp_path / "error").wait()
    seconds = time.monotonic() - start
    for moment in np.random.default_rng(0).uniform(0, seconds, KILLS):
        child = Child(logged, output, tmp_path / "error")
        time.sleep(moment)
        child.kill()
        with ours():
            check(output)
    Child(logged, output, tmp_path / "error").wait()
    check(output)
    if isinstance(same, str):
        assert digests(output, same) == digests(whole, same)
    else:
        same(output, whole)
    names = [sorted({str(p.relative_to(f)) for f in [folder] for p in f.rglob("*")})
             for folder in (whole, output)]  # fmt: skip
    assert names[1] == names[0], "something is left over"
    assert not [name for name in names[0] if name.endswith((".part", "-journal"))]


def asks_nothing_twice(tmp_path: Path, part: int = 0) -> None:
    """But for what was being computed when a kill came: a pass, or a part of so many requests."""
    again, longest = asked_again(tmp_path / f"whole-{ASKED}", tmp_path / f"killed-{ASKED}")
    assert again <= KILLS * max(longest, part)


@pytest.fixture
def asked(
    tiny_model: Path, task_folder: Path, one_index: None, monkeypatch: pytest.MonkeyPatch
) -> list[Any]:
    """Parts of a few documents, and tasks that are read once, before processes are forked."""
    monkeypatch.setattr(collect, "PART_DOCUMENTS", PART)
    task_documents.TaskManager(include_path=str(task_folder))
    watch(monkeypatch, LOG)
    return [
        "--model_args", f"pretrained={tiny_model},dtype=float32,batch_tokens=300", "--device", "cpu",
        "--include_path", task_folder,
    ]  # fmt: skip


def load_named(folder: Path) -> None:
    load(str(folder))


def test_fit_thermometer(asked: list[Any], tmp_path: Path) -> None:
    tasks = ["--tasks", "toy_norm,toy_several", "--split", "test"]
    killed_often(
        lambda output: run("fit", "thermometer", *asked, *tasks, "--output", output),
        tmp_path, load_named, "**/*.safetensors",
    )  # fmt: skip
    asks_nothing_twice(tmp_path, part=PART * 5)


def test_fit_temperature(asked: list[Any], tmp_path: Path) -> None:
    tasks = ["--tasks", "toy_norm,toy_several", "--split", "test"]
    killed_often(
        lambda output: run("fit", "temperature", *asked, *tasks, "--output", output),
        tmp_path, load_named, "**/*.*",
    )  # fmt: skip
    asks_nothing_twice(tmp_path, part=PART * 5)


def test_fit_swag(asked: list[Any], tmp_path: Path) -> None:
    training = ["--tasks", "toy_norm", "--train_batch_size", 2, "--rank", 3]
    killed_often(
        lambda output: run("fit", "swag", *asked, *training, "--output", output),
        tmp_path, load_swag, "**/*.safetensors",
    )  # fmt: skip


@pytest.mark.usefixtures("toy_encoder")
def test_fit_fractal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(200):
        says = ["wrong" if rng.random() < 0.3 else "fine" for _ in range(3)]
        texts = [f"Sentence {k} of {i} is {word}." for k, word in enumerate(says)]
        rows.append({"question": f"{i}?", "response": texts, "label": int("wrong" not in says)})
    table = tmp_path / "rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    killed_often(
        lambda output: run("fit", "fractal", "--table", table, "--epochs", 5, "--output", output),
        tmp_path, SentenceScorer.from_pretrained, "**/*.safetensors",
    )  # fmt: skip


def test_fit_verbalized(tasks: Any, tmp_path: Path) -> None:
    from logged_lines import save_run

    from lm_eval_calibration.models.verbalized import VerbalizedLM

    results = simple_evaluate(
        model=VerbalizedLM(base="scripted"), tasks=["calib_toy_norm"], task_manager=tasks,
        bootstrap_iters=0,
    )  # fmt: skip
    logged = save_run(tmp_path / "run", results)
    killed_often(
        lambda output: run("fit", "verbalized", "--samples", logged, "--output", output),
        tmp_path, load_named, "*.*",
    )  # fmt: skip


def evaluation(tasks: Any, model: str, arguments: str, names: list[str]) -> Work:
    """Evaluate with a cache, and write what was found: figures, and every answer."""

    def work(output: Path) -> None:
        found = simple_evaluate(
            model=model, model_args=arguments, tasks=names, task_manager=tasks, bootstrap_iters=0,
            use_cache=str(output / "cache"), device="cpu",
        )  # fmt: skip
        assert found is not None
        answers = [s["resps"] for task in names for s in found["samples"][task]]
        text = json.dumps([found["results"], answers], sort_keys=True)
        write_text(output / "results.json", text, JSON, overwrite=True)

    return work


def close(output: Path, whole: Path) -> None:
    """Figures and answers, within rounding: fewer requests are packed otherwise."""
    (a, answers), (b, expected) = (
        json.loads((folder / "results.json").read_text()) for folder in (output, whole)
    )
    for task, row in b.items():
        for key, value in row.items():
            assert a[task][key] == pytest.approx(value, abs=1e-4), (task, key)
    for ours_, theirs in zip(answers, expected, strict=True):
        np.testing.assert_allclose([x[0][0] for x in ours_], [x[0][0] for x in theirs], atol=1e-4)


@pytest.mark.parametrize("model", ["hf-fast", "thermometer", "swag"])
def test_models_that_see_weights(
    model: str, tiny_model: Path, thermometer_folder: Path, swag_folder: Path, tasks: Any,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    watch(monkeypatch, LOG)
    arguments = (
        f"pretrained={tiny_model},dtype=float32,batch_tokens=300"
        + {
            "hf-fast": "",
            "thermometer": f",thermometer={thermometer_folder}",
            "swag": f",swag={swag_folder},samples=3,scale=1.0",
        }[model]
    )
    work = evaluation(tasks, model, arguments, ["calib_toy_norm", "toy_mutual"])
    killed_often(work, tmp_path, lambda _: None, close)
    asks_nothing_twice(tmp_path)


@pytest.mark.parametrize(
    ("model", "task"),
    [
        ("self_correct,picker=unsure,candidates=6", "calib_toy_generate"),
        ("p_true", "calib_toy_generate"),
        ("self_consistency,candidates=6", "calib_toy_generate"),
        ("verbalized,samples=3", "calib_toy_norm"),
    ],
)
def test_wrappers(model: str, task: str, tasks: Any, tmp_path: Path) -> None:
    name, _, arguments = model.partition(",")
    base = ",".join(filter(None, ["base=counted", arguments]))
    killed_often(evaluation(tasks, name, base, [task]), tmp_path, lambda _: None, "results.json")
    asks_nothing_twice(tmp_path)


def test_score(generated_folder: Path, tmp_path: Path) -> None:
    def score(output: Path) -> None:
        text = run("score", generated_folder, "--filter", "plain", "--json").stdout
        write_text(output / "scores.json", text, JSON, overwrite=True)

    def check(output: Path) -> None:
        if (output / "scores.json").exists():
            json.loads((output / "scores.json").read_text())

    killed_often(score, tmp_path, check, "scores.json")
