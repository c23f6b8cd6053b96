"""The harness's tasks: the classes that twins derive from, and where tasks are found by name."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval.tasks import TaskManager

from lm_eval_calibration.harness.conversing import Answered
from lm_eval_calibration.harness.lines import bridge

if TYPE_CHECKING:
    from lm_eval_calibration.harness.line_0_4 import ChoiceTask, GeneratingTask, HarnessTask
else:
    HarnessTask = bridge().HarnessTask
    ChoiceTask, GeneratingTask = bridge().ChoiceTask, bridge().GeneratingTask

__all__ = [
    "Answered",
    "ChoiceTask",
    "GeneratingTask",
    "HarnessTask",
    "TaskManager",
    "all_splits",
    "answer_key",
    "matching",
    "options_of",
    "pools",
]


def matching(manager: TaskManager, pattern: str) -> list[str]:
    """The names of tasks, groups, tags and files that a pattern of `--tasks` means; none if it means nothing."""
    found = manager.match_tasks([pattern])
    there = manager._index
    return [n for n in found if n in there or n.partition("@")[0] in there or os.path.exists(n)]


def options_of(task: Any, doc: Mapping[str, Any]) -> list[str]:
    """A document's options, of any multiple-choice task of the harness."""
    found: list[str] = bridge().options_of(task, doc)
    return found


def pools(metric: str) -> str:
    """The name of what pools a metric of the harness; "" of one that it does not have."""
    return str(bridge().pools(metric))


def all_splits(task: Any) -> list[str]:
    """The splits of a task's data set, in the order of their names; the task reads each from then on."""
    return sorted(map(str, bridge().all_splits(task)))


def answer_key(task: Any, doc: Mapping[str, Any]) -> Any:
    """Which of them is right, as the task says it: an index, a text, or a list of them."""
    return bridge().answer_key(task, doc)
