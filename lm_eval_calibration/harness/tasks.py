"""The harness's tasks: the class that twins derive from, and where tasks are found by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

__all__ = ["HarnessTask", "TaskManager"]


class HarnessTask(ConfigurableTask):
    """A task of the harness that is made of its configuration alone."""

    def __init__(self, config: Mapping[str, Any], **places: Any) -> None:
        super().__init__(config=dict(config), **places)
