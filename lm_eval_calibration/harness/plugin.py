"""What the harness is handed, and what it asks of us while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol


class Plugin(Protocol):
    """Ours is `lm_eval_calibration.plugin.OURS`; nothing heavy is imported before it is asked."""

    @property
    def models(self) -> Mapping[str, str]:
        """What `--model` may name, as `module:class`."""

    @property
    def task_folder(self) -> Path:
        """The folder of our task files."""

    def aggregations(self) -> Mapping[str, Any]:
        """What pools a metric's rows, by the name in a task's `metric_list`."""

    def filters(self) -> Mapping[str, type]:
        """What a task's `filter_list` may name."""

    def twin_class(self, generates: bool) -> type:
        """The class of twins of generation tasks, or of multiple-choice tasks."""

    def group_rows(
        self, name: str, tasks: Iterable[Any], results: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """A group's rows, of its tasks' results by `metric,filter`."""

    def before_tasks(self, call: Mapping[str, Any], model: type) -> None:
        """Before a run's tasks are read, given `simple_evaluate`'s arguments and the class of its model."""

    def before_loading(
        self, call: Mapping[str, Any], tasks: Mapping[str, Any]
    ) -> AbstractContextManager[None]:
        """Around a run, given the same and its tasks by name, as far as they were read."""

    def shown(
        self, results: Mapping[str, Any], column: str
    ) -> tuple[Mapping[str, Any], Sequence[str]]:
        """What a table of results shows, and what is said beneath it."""

    def during(
        self, call: Mapping[str, Any]
    ) -> AbstractContextManager[Callable[[], dict[str, Any]]]:
        """Around the evaluation, given `evaluate`'s arguments; gives what its results are to keep."""

    def check_cache(self, path: Path) -> None:
        """Refuse a cache file that cannot be used, before any work."""

    def cache(self, lm: Any, rows: MutableMapping[str, Any]) -> Any:
        """What a model's answers are kept in, given what the harness would keep them in."""
