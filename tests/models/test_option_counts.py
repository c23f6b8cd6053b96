"""Letters for one option, and for more than there are letters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import numpy as np
import pytest
from lettered import LettersApi, fair, over
from lm_eval.tasks import TaskManager

from lm_eval_calibration.errors import InvalidInputError

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")


def many_options(folder: Path, count: int) -> Any:
    folder.mkdir()
    rows = [{"question": f"Which is item {i}?", "answer": i} for i in range(2)]
    (folder / "many.json").write_text("\n".join(map(json.dumps, rows)))
    options = json.dumps([f"option {k}" for k in range(count)])
    (folder / "many.yaml").write_text(
        f"task: many\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {folder}/many.json}}}}\n"
        "output_type: multiple_choice\ntest_split: test\ndoc_to_text: '{{question}}'\n"
        f"doc_to_choice: {options}\ndoc_to_target: answer\n"
    )
    return TaskManager(include_path=str(folder), include_defaults=False)


def test_more_options_than_letters(tmp_path: Path) -> None:
    """Groups, and their winners once more: without a liking for a place that is exact."""
    tasks = many_options(tmp_path / "tasks", 45)
    with LettersApi() as api:
        api.cap, api.gives = 100, 100
        found = over(api, tasks, task="calib_many", orders=20)
    for sample in found["samples"]["calib_many"]:
        p = np.array(sample["stated"]["probabilities"])
        right = fair([f"option {k}" for k in range(45)], 45)
        assert p.sum() == pytest.approx(1) and p.argmax() == right.argmax()
        assert np.corrcoef(np.log(p), np.log(right))[0, 1] > 0.9
    tasks = many_options(tmp_path / "more", 401)
    with LettersApi() as api, pytest.raises(InvalidInputError, match=r"401 options.*at most 400"):
        over(api, tasks, task="calib_many")


def test_a_only_option_is_certain(tmp_path: Path) -> None:
    with LettersApi() as api:
        found = over(api, many_options(tmp_path / "tasks", 1), task="calib_many")
    assert found["results"]["calib_many"]["nll,none"] == 0 and not api.payloads


def test_a_only_option_among_documents_of_a_task_of_ones_own(tmp_path: Path) -> None:
    """Whose name does not say that it is a twin."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    rows = [{"q": f"item {i} ", "options": ["x", "y", "z"][: 1 + 2 * (i % 2)]} for i in range(4)]
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "own.yaml").write_text(
        f"""
task: own
class: !function lm_eval_calibration.CalibrationTask
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.json}}}}
output_type: multiple_choice
test_split: test
doc_to_text: q
doc_to_choice: options
doc_to_target: 0
metadata: {{version: 1.0}}
"""
    )
    with LettersApi() as api:
        found = over(api, TaskManager(include_path=str(folder), include_defaults=False), task="own")
    single = [s for s in found["samples"]["own"] if len(s["doc"]["options"]) == 1]
    assert len(single) == 2 and all(float(s["resps"][0][0][0]) == 0 for s in single)
