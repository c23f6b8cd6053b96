"""FRACTAL from end to end: logged responses, a scorer, and its figures in the harness."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from logged_lines import save_run

from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal import SentenceScorer
from lm_eval_calibration.models.fractal import FractalLM
from lm_eval_calibration.models.fractal_scorer import FractalScorerLM

QUICK = ("--epochs", 8, "--learning_rate", 0.01, "--weights", "0.8,0.1,0.1")


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Responses that are right if none of their sentences says `wrong`."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        says = ["wrong" if rng.random() < 0.25 else "fine" for _ in range(rng.integers(1, 5))]
        texts = [f"Sentence {k} of {seed}-{i} is {word}." for k, word in enumerate(says)]
        labels = [int(word == "fine") for word in says]
        found.append(
            {
                "question": f"Question {seed}-{i}?", "response": texts, "label": min(labels),
                "sentence_labels": labels, "sentences": texts,
            }
        )  # fmt: skip
    return found


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in lines))
    return path


@pytest.fixture
def scorer(toy_encoder: Any, tmp_path: Path) -> Path:
    table = write(tmp_path / "train.jsonl", rows(300, 0))
    out = run("fit", "fractal", "--table", table, "--output", tmp_path / "frac", *QUICK).stdout
    assert "300 responses" in out and "pseudo-labels, round 1" in out and "(kept)" in out
    assert "sentences calibrated by their labels" in out
    return tmp_path / "frac"


@pytest.fixture
def sentence_tasks(tmp_path: Path) -> Any:
    write(tmp_path / "test.json", rows(60, 1))
    (tmp_path / "toy_sentences.yaml").write_text(
        f"""
task: calib_toy_sentences
class: !function lm_eval_calibration.SentenceTask
dataset_path: json
dataset_kwargs: {{data_files: {{test: {tmp_path}/test.json}}}}
output_type: generate_until
test_split: test
doc_to_text: question
metric_list: []
metadata: {{version: 1.0}}
"""
    )
    return TaskManager(include_path=str(tmp_path), include_defaults=False)


def test_a_scorer_on_a_task_with_sentence_labels(scorer: Path, sentence_tasks: Any) -> None:
    found = simple_evaluate(
        model="fractal-scorer", model_args=f"scorer={scorer}", tasks=["calib_toy_sentences"],
        task_manager=sentence_tasks, bootstrap_iters=50,
    )  # fmt: skip
    results = found["results"]["calib_toy_sentences"]
    assert results["sentence_auroc,none"] > 0.95 and results["sentence_auprc,none"] > 0.9
    assert results["sentence_ece,none"] < 0.15
    assert results["auroc,none"] > 0.9 and results["first_error_f1,none"] > 0.8
    assert 0 <= results["sentence_auroc_stderr,none"] < 0.1
    sample = found["samples"]["calib_toy_sentences"][0]
    assert len(sample["sentences"]["scores"]) == len(sample["doc"]["sentences"])
    assert found["config"]["scorer"]["fitted_on"] == {"train": 300}


def test_sentences_in_the_report(scorer: Path, sentence_tasks: Any, tmp_path: Path) -> None:
    found = simple_evaluate(
        model="fractal-scorer", model_args=f"scorer={scorer}", tasks=["calib_toy_sentences"],
        task_manager=sentence_tasks, bootstrap_iters=2,
    )  # fmt: skip
    folder = save_run(tmp_path / "run", found)
    page = tmp_path / "report.html"
    run("report", folder, "--output", page, "--replicates", 20)
    text = page.read_text()
    assert 'class="sentence s0"' in text and "Which answers to act on" in text


def test_other_models_are_told(sentence_tasks: Any, scripted: Any) -> None:
    with pytest.raises(InvalidInputError, match="--model fractal-scorer"):
        simple_evaluate(
            model=scripted(), tasks=["calib_toy_sentences"], task_manager=sentence_tasks,
            bootstrap_iters=0,
        )  # fmt: skip


def test_answers_with_scores(
    scorer: Path, tasks: Any, tmp_path: Path, generated_folder: Path
) -> None:
    """The wrapper leaves the answers as they are, and its run can be scored again offline."""
    lm = FractalLM(base="scripted", scorer=str(scorer))
    found = simple_evaluate(
        model=lm, tasks=["calib_toy_generate"], task_manager=tasks, bootstrap_iters=10
    )
    plain = simple_evaluate(
        model="scripted", tasks=["toy_generate"], task_manager=tasks, bootstrap_iters=0
    )
    results = found["results"]["calib_toy_generate"]
    assert results["exact_match,none"] == plain["results"]["toy_generate"]["exact_match,none"]
    assert "ece,none" in results and "auroc,none" in results
    sample = found["samples"]["calib_toy_generate"][0]["envelopes"]
    assert len(sample["sentences"]) == len(sample["sentence_scores"]) >= 1
    assert lm.get_model_info()["scorer"]["seen_documents"] == {}
    folder = save_run(tmp_path / "run", found)
    lines = tmp_path / "sentences.jsonl"
    out = run(
        "fractal", "score", folder, "--scorer", scorer, "-o", lines, "--label", "exact_match"
    ).stdout
    assert "40 responses" in out and "auroc" in out
    first = json.loads(lines.read_text().splitlines()[0])
    assert first["confidence"] == pytest.approx(sample["confidence"], abs=1e-6)
    assert first["scores"] == pytest.approx(sample["sentence_scores"], abs=1e-6)


def test_pools_are_many_responses(
    toy_encoder: Any, generated_folder: Path, tmp_path: Path, tasks: Any
) -> None:
    """A run of several candidates gives each with its score, and its documents are then refused."""
    out = run(
        "fit", "fractal", "--samples", generated_folder, "--filter", "plain", "--output",
        tmp_path / "frac", *QUICK,
    ).stdout  # fmt: skip
    scorer = SentenceScorer.from_pretrained(tmp_path / "frac")
    count = scorer.training.tasks["toy_filters"]
    assert count > 40 and f"{count} responses" in out
    with pytest.raises(InvalidInputError, match="fitted on the documents of"):
        run(
            "fractal", "score", generated_folder, "--scorer", tmp_path / "frac", "-o",
            tmp_path / "s.jsonl",
        )  # fmt: skip
    allowed = run(
        "fractal", "score", generated_folder, "--scorer", tmp_path / "frac", "-o",
        tmp_path / "s.jsonl", "--allow-seen",
    )  # fmt: skip
    assert "flatter" in allowed.stderr
    lm = FractalLM(base="scripted", scorer=str(tmp_path / "frac"))
    with pytest.raises(SeenDocumentsError):
        simple_evaluate(
            model=lm, tasks=["calib_toy_filters"], task_manager=tasks, bootstrap_iters=0
        )


def test_preferences_from_a_table(toy_encoder: Any, tmp_path: Path) -> None:
    one, other = rows(80, 0), rows(80, 1)
    pairs = [
        {
            "question": a["question"], "first": a["response"], "second": b["response"],
            "preferred": 2 if np.mean(b["sentence_labels"]) > np.mean(a["sentence_labels"]) else 1,
        }
        for a, b in zip(one, other, strict=True)
    ]  # fmt: skip
    table = write(tmp_path / "pairs.jsonl", pairs)
    out = run(
        "fit", "fractal", "--table", table, "--aggregate", "avg", "--output", tmp_path / "f", *QUICK
    ).stdout
    assert "pairs judge" in out and "pseudo-labels" not in out


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"question": "q", "response": "a."}, "no column 'label'"),
        ({"question": "q", "response": "a.", "label": 7}, "label"),
        ({"question": "q", "response": 5, "label": 1}, "row 1"),
        ({"question": "q", "first": "a", "second": "b", "preferred": 3}, "1 or 2"),
    ],
)
def test_tables_that_cannot_be_read(row: dict[str, Any], named: str, tmp_path: Path) -> None:
    table = write(tmp_path / "bad.jsonl", [row])
    with pytest.raises(InvalidInputError, match=named):
        run("fit", "fractal", "--table", table, "--output", tmp_path / "f")


def test_what_the_commands_refuse(toy_encoder: Any, tmp_path: Path, run_folder_of: Any) -> None:
    same = write(tmp_path / "same.jsonl", [{**r, "label": 1} for r in rows(40, 0)])
    with pytest.raises(InvalidInputError, match="nothing to learn from"):
        run("fit", "fractal", "--table", same, "--output", tmp_path / "f")
    few = write(tmp_path / "few.jsonl", rows(5, 0))
    with pytest.raises(InvalidInputError, match="too few"):
        run("fit", "fractal", "--table", few, "--output", tmp_path / "f")
    with pytest.raises(InvalidInputError, match="either --samples"):
        run("fit", "fractal", "--output", tmp_path / "f")
    with pytest.raises(InvalidInputError, match="`calibrator` must be one of platt"):
        run("fit", "fractal", "--table", few, "--output", tmp_path / "f", "--calibrator", "vector")
    with pytest.raises(InvalidInputError, match="weights"):
        run("fit", "fractal", "--table", few, "--output", tmp_path / "f", "--weights", "1,2")
    with pytest.raises(InvalidInputError, match="no metric `f1`"):
        run(
            "fit",
            "fractal",
            "--samples",
            run_folder_of,
            "--label",
            "f1",
            "--output",
            tmp_path / "f",
        )


@pytest.fixture
def run_folder_of(tmp_path: Path, tasks: Any) -> Path:
    found = simple_evaluate(
        model="scripted", tasks=["toy_generate"], task_manager=tasks, bootstrap_iters=0
    )
    return save_run(tmp_path / "plain", found)


def test_the_scorer_alone_generates_nothing(scorer: Path, tasks: Any) -> None:
    lm = FractalScorerLM(scorer=str(scorer))
    for task, named in (("toy_generate", "generates"), ("toy_plain", "no log-likelihoods")):
        with pytest.raises(InvalidInputError, match=named):
            simple_evaluate(model=lm, tasks=[task], task_manager=tasks, bootstrap_iters=0)
    with pytest.raises(InvalidInputError, match="scorer"):
        FractalScorerLM()


def test_the_candidate_whose_sentences_score_best_is_given(
    scorer: Path, tasks: Any, tmp_path: Path, generated_folder: Path
) -> None:
    found = simple_evaluate(
        model="fractal", model_args={"base": "scripted", "scorer": str(scorer), "candidates": 3},
        tasks=["calib_toy_generate"], task_manager=tasks, bootstrap_iters=10, limit=12,
    )  # fmt: skip
    row = found["results"]["calib_toy_generate"]
    assert row["best_of_n,none"] == row["exact_match,none"]  # (it is the answer)
    assert row["best_of_n_gain,none"] == pytest.approx(row["best_of_n,none"] - row["gen,none"])
    assert row["worst,none"] <= row["best_of_n,none"] <= row["oracle,none"]
    assert "disc,none" not in row and "majority,none" in row
    for sample in found["samples"]["calib_toy_generate"]:
        told = sample["envelopes"]
        assert len(told["candidates"]) == len(told["beliefs"]) == 3
        assert told["confidence"] == max(told["beliefs"])
    out = run("pools", save_run(tmp_path / "run", found), "--replicates", 50).stdout
    assert "best_of_n_gain" in out and "best_of_n is majority: p = " in out
