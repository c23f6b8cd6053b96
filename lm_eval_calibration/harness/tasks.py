"""The harness's tasks: the classes that twins derive from, and where tasks are found by name."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lm_eval.tasks import TaskManager

from lm_eval_calibration.harness.conversing import Answered
from lm_eval_calibration.harness.lines import bridge

if TYPE_CHECKING:
    from lm_eval_calibration.harness.line_0_4 import ChoiceTask, GenerationTask, HarnessTask
else:
    HarnessTask = bridge().HarnessTask
    ChoiceTask, GenerationTask = bridge().ChoiceTask, bridge().GenerationTask

__all__ = [
    "Answered",
    "ChoiceTask",
    "GenerationTask",
    "HarnessTask",
    "TaskManager",
    "answer_key",
    "options_of",
]


def options_of(task: Any, doc: Mapping[str, Any]) -> list[str]:
    """A document's options, of any multiple-choice task of the harness."""
    found: list[str] = bridge().options_of(task, doc)
    return found


def answer_key(task: Any, doc: Mapping[str, Any]) -> Any:
    """Which of them is right, as the task says it: an index, a text, or a list of them."""
    return bridge().answer_key(task, doc)
