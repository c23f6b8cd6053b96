"""A run's tasks, read before its model is loaded, so that what is wrong with them is found before the wait.

The harness loads the model first. What it would load afterwards is loaded here and handed over, once,
when it asks: the tasks, and the state that reading them left Python's and numpy's random numbers in, so
that a task that shuffles its options by them shuffles as it would have.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.errors import CalibrationError, InvalidInputError, OutputError
from lm_eval_calibration.redact import redact
from lm_eval_calibration.texts import shortened

SHOWN = 300
WHERE = "LM_EVAL_CALIBRATION_TRACEBACK=1 shows where it happened"
State = tuple[Any, ...]
_READY = "_lm_eval_calibration_ready"


@dataclass(frozen=True)
class Ready:
    """Tasks that were read, and the random numbers' states before and after."""

    asked: Any
    tasks: Any
    before: State
    after: State


def manager_of(call: Mapping[str, Any]) -> Any:
    """The task manager that the harness makes of a run that brings none."""
    from lm_eval.tasks import TaskManager

    return TaskManager(metadata={**arguments_of(call), **(call["metadata"] or {})})


def arguments_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """A run's `--model_args`, which the harness takes as a text too."""
    from lm_eval.utils import simple_parse_args_string

    told = call["model_args"]
    return dict(simple_parse_args_string(told) if isinstance(told, str) else told or {})


def check_output(tracker: Any) -> None:
    """Make the folder that results are to be written to, which the harness does when all is computed.

    Raises:
        OutputError: it cannot be made, or written to.
    """
    told = getattr(tracker, "output_path", None)
    if not told:
        return
    folder = Path(told).parent if Path(told).suffix == ".json" else Path(told)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError("it may not be written to")
    except OSError as error:
        raise OutputError(f"`--output_path` `{told}` cannot be written to: {error}.") from error


def prepare(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read a run's tasks, by their names, and keep them for the harness.

    Args:
        call: `simple_evaluate`'s arguments, defaults and the task manager included.

    Raises:
        InvalidInputError: they cannot be read.
    """
    before, manager = _state(), call["task_manager"]
    for argument, seed in (("random_seed", random.seed), ("numpy_random_seed", np.random.seed)):
        if call.get(argument) is not None:
            seed(call[argument])
    seeded = _state()
    tasks = _loaded(manager, call["tasks"])
    setattr(manager, _READY, Ready(call["tasks"], tasks, seeded, _state()))
    _restore(before)
    found: Mapping[str, Any] = tasks["tasks"]
    return found


def _loaded(manager: Any, names: Any) -> Any:
    """The tasks; what is wrong with their files or data is told in a line.

    Raises:
        InvalidInputError: they cannot be read.
    """
    try:
        return manager.load(names)
    except CalibrationError:
        raise
    except Exception as error:
        said = shortened(redact(str(error)), SHOWN)
        raise InvalidInputError(
            f"{_which(manager, names)} cannot be read ({type(error).__name__}: {said}). Look at its YAML and "
            f"data: {WHERE}."
        ) from error


def _which(manager: Any, names: Any) -> str:
    """Which task it was: the first that cannot be read by itself."""
    for name in names:
        try:
            manager.load([name])
        except Exception:  # noqa: BLE001 - whatever it was
            told = name if isinstance(name, str) else name.get("task", "in the file")
            return f"Task `{told}`"
    return "One of the tasks"


def handing_over(load: Callable[..., Any]) -> Callable[..., Any]:
    """A task manager's `load` that gives what is ready, where it would come out the same."""

    @functools.wraps(load)
    def load_or_hand_over(self: Any, *args: Any, **kwargs: Any) -> Any:
        ready: Ready | None = self.__dict__.pop(_READY, None)
        if ready is None:
            return load(self, *args, **kwargs)
        given = inspect.signature(load).bind(self, *args, **kwargs).arguments
        asked, *rest = [value for name, value in given.items() if name != "self"]
        if rest or asked != ready.asked or not _same(_state(), ready.before):
            return load(self, *args, **kwargs)
        _restore(ready.after)
        return ready.tasks

    return load_or_hand_over


def documents_of(task: Any, limit: Any = None, numbers: Any = None) -> list[Any]:
    """The documents of a task that a run will ask about; random numbers are left as they were.

    Args:
        task: of the harness.
        limit: of the run: a number, or a share below 1.
        numbers: of the documents, where the run names some.
    """
    before = _state()
    docs = task.eval_docs
    if numbers:
        wanted = set(numbers)
        found = [doc for number, doc in enumerate(docs) if number in wanted]
    else:
        count = math.ceil(len(docs) * limit) if limit and limit < 1 else int(limit or 0)
        found = list(itertools.islice(docs, count or None))
    _restore(before)
    return found


def _state() -> State:
    return random.getstate(), np.random.get_state()


def _restore(state: State) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])


def _same(one: State, other: State) -> bool:
    numpys = zip(one[1], other[1], strict=True)
    return one[0] == other[0] and all(np.array_equal(a, b) for a, b in numpys)
