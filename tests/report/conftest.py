"""Runs to report on: two models on the same hostile task, one of them with a group beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from in_browser import driven
from logged_lines import line

from lm_eval_calibration.analysis import Scored
from lm_eval_calibration.analysis.scores import score_all
from lm_eval_calibration.logs import Run, read_runs, scopes

HOSTILE = [
    "<script>window.hacked=1</script>",
    '<img src="x" onerror="window.hacked=2">',
    "</pre></details></main><script>window.hacked=3</script>",
    '<a href="javascript:alert(1)">here</a>',
    '" onmouseover="window.hacked=4',
    "{{ 7 * 7 }} {% include 'page.css' %} $x_1$ \u202etfel ot thgir\u0007",
    "<svg onload=window.hacked=5></svg><style>body{display:none}</style>",
]
METRICS = ["acc", "nll", "brier", "ece", "smece", "auroc", "aurc"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from driven(tmp_path_factory.mktemp("profile"))


@pytest.fixture
def artefacts(tmp_path: Path) -> Path:
    """Where screenshots are kept."""
    folder = Path(os.environ.get("LM_EVAL_CALIBRATION_ARTEFACTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Reported(NamedTuple):
    """What `write_report` is given."""

    runs: list[Run]
    scored: list[Scored]


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> Reported:
    """Two runs of three tasks, two of them in a group, as the harness would have logged them."""
    folder = tmp_path_factory.mktemp("reported")
    for seed, model in enumerate(("org__small", "org__large")):
        for task, count in (("toy_a", 60), ("toy_b", 40), ("toy_hostile", len(HOSTILE))):
            _write(folder / model, task, _lines(count, seed, HOSTILE * (task == "toy_hostile")))
        _write_results(folder / model, model)
    runs, _ = read_runs([folder])
    wanted = [scope for run in runs for scope in scopes(run)]
    return Reported(runs, score_all(wanted, METRICS, replicates=50))


def _lines(count: int, seed: int, texts: list[str]) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    lines = []
    for i in range(count):
        wrong = rng.random() < 0.4 or bool(texts)
        text = texts[i] if texts else f"question {i}"
        options = [text or "yes", "no", "perhaps"] if texts else ["yes", "no", "perhaps"]
        arguments = {
            f"gen_args_{k}": {"arg_0": f"Is it so? {text}", "arg_1": f" {option}"}
            for k, option in enumerate(options)
        }
        scores = rng.normal(-2, 1.5, 3).round(3).tolist()
        scores[1 if wrong else 0] = 0.5
        scores = [score - 9 for score in scores]  # logarithms of probabilities
        lines.append(line(i, arguments=arguments, scores=scores, texts=options))
    return lines


def _write(folder: Path, task: str, lines: list[dict[str, Any]]) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / f"samples_{task}_2026-01-02T03-04-05.678901.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in lines), encoding="utf-8")


def _write_results(folder: Path, model: str) -> None:
    tasks = ["toy_a", "toy_b", "toy_hostile"]
    results = {
        "results": {task: {"acc,none": 0.5} for task in tasks},
        "group_subtasks": {"toy": ["toy_a", "toy_b"]},
        "configs": {task: {"task": task, "description": HOSTILE[2]} for task in tasks},
        "versions": dict.fromkeys(tasks, 1.0),
        "n-shot": dict.fromkeys(tasks, 0),
        "config": {
            "model": "hf",
            "model_args": {"pretrained": model.replace("__", "/")},
            "batch_size": HOSTILE[0],
            "limit": None,
            "random_seed": 0,
            "numpy_seed": 1234,
        },
        "date": 1767323045.678901,
        "model_name": model.replace("__", "/"),
        "lm_eval_version": "0.4.13",
        "chat_template": None,
        "total_evaluation_time_seconds": "75.2",
        "pretty_env_info": "PyTorch version: 2\n" + HOSTILE[1],
    }
    path = folder / "results_2026-01-02T03-04-05.678901.json"
    path.write_text(json.dumps(results), encoding="utf-8")
