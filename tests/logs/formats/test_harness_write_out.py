"""What the harness 0.3 left with `--write_out`, of a real run of the commit that the leaderboard v1 ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from published_runs import logged, read, unpacked

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs
from lm_eval_calibration.logs.formats.harness_write_out import WRITE_OUT
from lm_eval_calibration.testing import check_format

NAME = "arc_easy_write_out_info.json"
DOCUMENT: dict[str, Any] = {
    "doc_id": 0,
    "prompt_0": "Question: Q?\nAnswer: the one",
    "prompt_1": "Question: Q?\nAnswer: the other",
    "logit_0": -1.0,
    "logit_1": -2.0,
    "truth": 0,
    "acc": "1.0",
    "acc_norm": "1.0",
}


def write(folder: Path, *documents: Any) -> Path:
    path = folder / NAME
    path.write_text(json.dumps(documents, indent=4))
    return path


def test_figures_are_those_that_the_run_printed(tmp_path: Path) -> None:
    folder = unpacked("harness-0.3", tmp_path)
    results = logged(folder, "results.json")
    runs, left_out = read(folder)
    samples = runs["llama"].samples
    assert set(samples) == {"arc_easy", "hellaswag", "winogrande"}
    assert "truthfulqa_mc" in left_out[0] and "a way of its own" in left_out[0]
    for task, each in samples.items():
        assert each.predictions.correct.mean() == results[task]["acc"]
        assert not each.normalised and "length-normalised" in each.notes[0]
    shown = read_documents(samples["arc_easy"], [1])[0]
    assert shown.prompt.endswith("Answer:") and len(shown.options) == len(shown.probabilities)


def test_laws(tmp_path: Path) -> None:
    folder = unpacked("harness-0.3", tmp_path)
    (folder / "truthfulqa_mc_write_out_info.json").unlink()
    check_format(WRITE_OUT, folder)


def test_right_options_that_are_told_by_their_texts(tmp_path: Path) -> None:
    path = write(tmp_path, {**DOCUMENT, "truth": " other", "acc": "False"})
    (run,), _ = read_runs([path])
    samples = run.samples["arc_easy"]
    assert samples.predictions.correct.tolist() == [False]
    (shown,) = read_documents(samples, [0])
    assert (shown.prompt, shown.options) == ("Question: Q?\nAnswer: the", ("one", "other"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logit_1": float("nan")}, "option 1 .* is nan"),
        ({"logit_1": None}, "option 1 .* is None"),
        ({"prompt_1": 3}, "2 log-likelihoods of 2 prompts"),
        ({"prompt_2": "Question: Q?"}, "2 log-likelihoods of 3 prompts"),
        ({"truth": 2}, "`truth` is 2"),
        ({"truth": ""}, "`truth` is ''"),
        ({"acc": "0.0"}, "logged `acc` = 0"),
        ({"acc": "False"}, "logged `acc` = 0"),
    ],
)
def test_bad_documents(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, DOCUMENT, {**DOCUMENT, "doc_id": 1, **change})
    with pytest.raises(InvalidInputError, match=f"{NAME}, document 2: .*{message}"):
        read_runs([path])
    (run,), _ = read_runs([path], skip_bad=True)
    assert len(run.samples["arc_easy"]) == 1 and "left out" in run.samples["arc_easy"].notes[0]


def test_generated_answers_and_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, {**DOCUMENT, "logit_0": "4", "logit_1": "5"})
    with pytest.raises(InvalidInputError, match=r"Nothing can be read.*generated"):
        read_runs([path])
    path.write_text("[]")
    with pytest.raises(InvalidInputError, match="is empty"):
        read_runs([path])
