"""A task of yes or no with as many documents as one likes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TASK = """
task: many
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/many.json}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["yes", "no"]
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
"""


def yes_no_tasks(folder: Path, count: int) -> Any:
    """A task manager that knows `many`, of so many documents."""
    from lm_eval.tasks import TaskManager

    folder.mkdir(exist_ok=True)
    rows = [{"question": f"What is item {i} of test?", "answer": i % 2} for i in range(count)]
    (folder / "many.json").write_text("\n".join(map(json.dumps, rows)))
    (folder / "many.yaml").write_text(TASK.format(folder=folder))
    return TaskManager(include_path=str(folder), include_defaults=False)
