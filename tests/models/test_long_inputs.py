"""Documents beyond a model's window, a hundred options, no documents at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from kinds import kinds
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from logged_lines import save_run
from release import answers

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_samples

LONG = 10_500
"""Tokens of the tiny model, which reads bytes; its window has 2,048."""


@pytest.fixture(scope="module")
def long_tasks(tmp_path_factory: pytest.TempPathFactory) -> TaskManager:
    """Every third document is long, every second has a hundred options."""
    folder = tmp_path_factory.mktemp("long")
    rows = [
        {"question": "x " * (LONG // 2 if i % 3 == 0 else 5) + f"What is item {i} of test?",
         "options": [f"option {k} {'y' * ((7 * k + i) % 13)}" for k in range(100 if i % 2 else 4)],
         "answer": i % 4}
        for i in range(6)
    ]  # fmt: skip
    (folder / "test.json").write_text("\n".join(map(json.dumps, rows)))
    (folder / "emptied.py").write_text("def none(docs): return docs.filter(lambda doc: False)\n")
    base = (
        f"dataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/test.json}}}}\n"
        'test_split: test\ndoc_to_text: "{{question}}\\nAnswer:"\n'
    )
    options = "output_type: multiple_choice\ndoc_to_choice: options\ndoc_to_target: answer\n"
    generation = (
        'output_type: generate_until\ndoc_to_target: "{{options[answer]}}"\n'
        'generation_kwargs: {until: ["@"], max_gen_toks: 6}\n'
        "metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]\n"
    )
    nothing = "process_docs: !function emptied.none\n"
    for name, text in {
        "long_options": options, "long_answers": generation,
        "no_options": options + nothing, "no_answers": generation + nothing,
    }.items():  # fmt: skip
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{base}{text}")
    return TaskManager(include_path=str(folder), include_defaults=False)


def evaluate(tasks: TaskManager, model: str, arguments: str, task: str) -> dict[str, Any]:
    found = simple_evaluate(
        model=model, model_args=arguments, tasks=[task], task_manager=tasks, bootstrap_iters=20,
        device="cpu", batch_size=4,
    )  # fmt: skip
    return dict(found)


def option_scores(found: dict[str, Any], task: str) -> list[list[float]]:
    return [[float(r[0]) for r in answers(sample)] for sample in found["samples"][task]]


def test_fast_scores_what_hf_does(tiny_model: Path, long_tasks: TaskManager) -> None:
    arguments = f"pretrained={tiny_model},dtype=float32"
    hf, fast = (evaluate(long_tasks, m, arguments, "calib_long_options") for m in ("hf", "hf-fast"))
    pairs = zip(*(option_scores(found, "calib_long_options") for found in (hf, fast)), strict=True)
    for expected, scores in pairs:
        assert len(scores) in (4, 100)
        np.testing.assert_allclose(scores, expected, atol=1e-3)
    a, b = (found["results"]["calib_long_options"] for found in (hf, fast))
    assert a["acc,none"] == b["acc,none"]
    assert a["ece,none"] == pytest.approx(b["ece,none"], abs=1e-4)


@pytest.mark.parametrize("model", kinds(["thermometer", "swag"], ["thermometer"]))
def test_hidden_states_of_what_is_left(
    model: str,
    tiny_model: Path,
    long_tasks: TaskManager,
    thermometer_folder: Path,
    swag_folder: Path,
) -> None:
    folder = thermometer_folder if model == "thermometer" else swag_folder
    more = ",samples=2" if model == "swag" else ""
    arguments = f"pretrained={tiny_model},dtype=float32,{model}={folder}{more}"
    row = evaluate(long_tasks, model, arguments, "calib_long_options")["results"][
        "calib_long_options"
    ]
    assert np.isfinite(row["nll,none"])


@pytest.mark.parametrize("model", ["self_consistency", "self_correct", "p_true"])
def test_answers_to_long_prompts(model: str, tiny_model: Path, long_tasks: TaskManager) -> None:
    arguments = f"base=hf-fast,pretrained={tiny_model},dtype=float32"
    arguments += ",candidates=2" if model.startswith("self") else ""
    found = evaluate(long_tasks, model, arguments, "calib_long_answers")
    assert len(found["samples"]["calib_long_answers"]) == 6
    assert np.isfinite(found["results"]["calib_long_answers"]["exact_match,none"])


def test_a_hundred_probabilities(long_tasks: TaskManager) -> None:
    import scripted_base  # noqa: F401

    found = evaluate(long_tasks, "verbalized", "base=scripted,skill=1.0", "calib_long_options")
    row = found["results"]["calib_long_options"]
    assert row["invalid_rate,none"] == 0.0
    for scores in option_scores(found, "calib_long_options"):
        assert np.exp(scores).sum() == pytest.approx(1, abs=0.02)  # (zeros are floored)


def test_offline_and_in_the_report(long_tasks: TaskManager, tmp_path: Path) -> None:
    import scripted_base  # noqa: F401

    found = evaluate(long_tasks, "verbalized", "base=scripted", "calib_long_options")
    folder = save_run(tmp_path / "run", found)
    (file,) = folder.rglob("samples_*.jsonl")
    assert read_samples(file).predictions.num_options.tolist() == [4, 100] * 3
    run("report", folder, "--output", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 2_000_000


@pytest.mark.parametrize(
    ("task", "model"),
    [("calib_no_options", "scripted"), ("calib_no_answers", "self_consistency")],
)
def test_no_documents(task: str, model: str, long_tasks: TaskManager) -> None:
    import scripted_base  # noqa: F401

    arguments = "" if model == "scripted" else "base=scripted"
    with pytest.raises(InvalidInputError, match=f"`{task}` has no documents.*`process_docs` keeps"):
        evaluate(long_tasks, model, arguments, task)
