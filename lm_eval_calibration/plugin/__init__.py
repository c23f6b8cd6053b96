"""What this package is to lm-evaluation-harness: `install` attaches it, any number of times.

Importing it is cheap; what the harness asks for is imported when it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval_calibration import harness
from lm_eval_calibration.models import MODELS
from lm_eval_calibration.yamls import task_yamls

__all__ = ["OURS", "install"]


class Ours:
    """The `Plugin` of this package."""

    @cached_property
    def models(self) -> Mapping[str, str]:
        """Ours, and those that other packages name for the harness, which reads them after 0.4.13."""
        from lm_eval_calibration.plugin import others

        return {**MODELS, **others.models()}

    @property
    def task_folder(self) -> Path:
        """Installed or in a checkout."""
        return task_yamls()

    def aggregations(self) -> Mapping[str, Any]:
        """Our metrics, as `calib_<metric>`."""
        from lm_eval_calibration.plugin.components import AGGREGATIONS

        return AGGREGATIONS

    def filters(self) -> Mapping[str, type]:
        """What reads probabilities that were stated in words."""
        from lm_eval_calibration.plugin.components import FILTERS

        return FILTERS

    def twin_class(self, generates: bool) -> type:
        """Of a task's output type."""
        from lm_eval_calibration.tasks.generation import GenerationTask
        from lm_eval_calibration.tasks.twin import CalibrationTask

        return GenerationTask if generates else CalibrationTask

    def group_rows(
        self, name: str, tasks: Iterable[Any], results: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Means over a group's twins."""
        from lm_eval_calibration.tasks.groups import group_rows

        return group_rows(name, tasks, results)

    def before_tasks(self, call: Mapping[str, Any], model: type) -> None:
        """Refuse what the model cannot answer."""
        from lm_eval_calibration.harness.index import TwinIndex
        from lm_eval_calibration.harness.preparing import arguments_of
        from lm_eval_calibration.harness.refusing import refuse_plain_text, refuse_without_beliefs

        index, title = call["task_manager"]._index, call["model"]
        title = title if isinstance(title, str) else type(title).__name__
        if isinstance(index, TwinIndex):
            refuse_without_beliefs(call["tasks"] or (), index, model, title)
        refuse_plain_text(model, arguments_of(call), title, call["apply_chat_template"])

    def before_loading(
        self, call: Mapping[str, Any], tasks: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """Tell models what is known of prompts and documents before they are loaded."""
        from lm_eval_calibration.plugin import recording

        return recording.before_loading(call, tasks)

    def shown(
        self, results: Mapping[str, Any], column: str
    ) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What one reads of twins; everything of other tasks."""
        from lm_eval_calibration.harness.requests import RECORD
        from lm_eval_calibration.plugin.recording import PLAIN_GROUPS
        from lm_eval_calibration.tasks.shown import shown_rows

        record = results.get(RECORD) or {}
        return shown_rows(results, column, record.get(PLAIN_GROUPS, ()))

    def during(
        self, call: Mapping[str, Any]
    ) -> AbstractContextManager[Callable[[], dict[str, Any]]]:
        """Tell models how the prompts are made, and results which weights and prompts they are of."""
        from lm_eval_calibration.plugin import recording

        return recording.recorded(call)

    def check_cache(self, path: Path) -> None:
        """Refuse what is no cache, or damaged."""
        from lm_eval_calibration.models.shared.kept import refuse_unusable

        refuse_unusable(path)

    def cache(self, lm: Any, rows: MutableMapping[str, Any]) -> Any:
        """Nothing for wrappers that keep what their base says; plain answers for models of ours."""
        from lm_eval_calibration.models.shared.checked_rows import CheckedRows
        from lm_eval_calibration.models.shared.identity import identity
        from lm_eval_calibration.models.shared.kept import NothingKept

        if getattr(type(lm), "keeps_replies", False):
            return NothingKept()
        ours = type(lm).__module__.startswith("lm_eval_calibration.")
        return CheckedRows(rows, identity(lm)) if ours else rows


OURS: harness.Plugin = Ours()


def install() -> None:
    """Attach to the harness, whether it is imported already or not."""
    harness.install(OURS)
