"""The labelled documents of harness tasks, any split of them, and the requests about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.naming import unknown_tasks
from lm_eval_calibration.harness.tasks import TaskManager, all_splits, matching
from lm_eval_calibration.harness.tasks import options_of as listed_options
from lm_eval_calibration.models.shared.run_prompts import (
    RunPrompts,
    beliefs_of,
    instruction_of,
    options_of,
    shots_of,
    template_of,
)
from lm_eval_calibration.names import PREFIX, upstream_name
from lm_eval_calibration.prompt_format import PromptFormat
from lm_eval_calibration.tasks.gold import gold_indices

HELD_BACK = 5


class TaskKind(NamedTuple):
    """Which tasks a calibrator learns from.

    output_type: the harness's; twins: whether their twins are loaded; why: what is said of others.
    """

    output_type: str
    twins: bool
    why: str

    def twin_of(self, name: str) -> str:
        """The name under which a task of the user's is loaded."""
        return PREFIX + upstream_name(name) if self.twins else name


OPTIONS = TaskKind(
    "multiple_choice",
    False,
    "calibrators are fitted on the options of multiple-choice tasks. (`fit thermometer --free_form` "
    "learns from generated answers.)",
)
ANSWERS = TaskKind("generate_until", True, "`--free_form` learns from generated answers.")


@dataclass(frozen=True)
class Prompting:
    """How documents become prompts, as `lm_eval` has it.

    Attributes:
        num_fewshot: examples before each document; `None` for the task's own number.
        apply_chat_template: whether prompts are put into the model's chat template.
        limit: so many documents of each task at most.
    """

    num_fewshot: int | None = None
    apply_chat_template: bool = False
    limit: int | None = None


@dataclass(frozen=True)
class Selection:
    """Labelled documents that a user asks for.

    Attributes:
        names: tasks, groups, tags.
        split: whose documents; `None` for the one that suits what is fitted.
        prompting: how they become prompts.
        include_path: folder of further tasks.
    """

    names: Sequence[str]
    split: str | None = None
    prompting: Prompting = Prompting()
    include_path: str | None = None
    _read: dict[TaskKind, dict[str, Any]] = field(default_factory=dict, compare=False, repr=False)

    def read(self, kind: TaskKind = OPTIONS) -> None:
        """Read the tasks, for `load` to give: before a model is loaded, for whom they may be the wrong ones.

        Raises:
            InvalidInputError: an unknown name, a task of another kind, or one without the split.
        """
        self._read[kind] = load_tasks(self.names, self.include_path, kind)
        for name, task in self._read[kind].items() if self.split is not None else ():
            check_split(name, task, str(self.split))

    def load(self, kind: TaskKind = OPTIONS) -> dict[str, Any]:
        """The tasks by name; see `load_tasks`."""
        ready = self._read.pop(kind, None)
        return load_tasks(self.names, self.include_path, kind) if ready is None else ready


@dataclass(frozen=True)
class LabelledTask:
    """Documents of one task and split, as requests.

    Attributes:
        task, split: their names.
        requests: all of the documents' (`Instance`).
        gold: the right options of each document, by its number.
        prompts: how the documents became prompts.
    """

    task: str
    split: str
    requests: list[Any]
    gold: dict[int, list[int]]
    prompts: PromptFormat


def load_tasks(
    names: Sequence[str], include_path: str | None = None, kind: TaskKind = OPTIONS
) -> dict[str, Any]:
    """The tasks of names, groups and tags, by the name that the harness has for each.

    Raises:
        InvalidInputError: an unknown name, or a task of another kind.
    """
    manager = TaskManager(include_path=include_path)
    wanted = [kind.twin_of(name) for name in names]
    for name, sought in zip(names, wanted, strict=True):
        if not matching(manager, sought):
            raise unknown_tasks(name, manager=manager)
    found = manager.load(manager.match_tasks(wanted))["tasks"].values()
    for task in found:
        if kind.output_type != task.OUTPUT_TYPE:
            raise InvalidInputError(
                f"Task `{upstream_name(task.config.task)}` is a {task.OUTPUT_TYPE} task: {kind.why}"
            )
    return {upstream_name(task.config.task): task for task in found}


def labelled(name: str, task: Any, split: str, prompting: Prompting, lm: Any) -> LabelledTask:
    """The documents of a split, with their requests and right options.

    The task reads `split` as its test split from then on.

    Raises:
        InvalidInputError: the data set has no such split.
    """
    requests = build(name, task, split, prompting, lm)
    gold = {
        request.doc_id: gold_indices(task, request.doc, listed_options(task, request.doc))
        for request in requests
        if request.idx == 0
    }
    prompts = format_of(name, task, prompting, lm).of(name, options_of(requests), beliefs_of(lm))
    return LabelledTask(name, split, requests, gold, prompts)


def build(name: str, task: Any, split: str, prompting: Prompting, lm: Any) -> list[Any]:
    """The requests (`Instance`) about the documents of a split, which the task evaluates on from then on.

    Raises:
        InvalidInputError: the data set has no such split.
    """
    check_split(name, task, split)
    task.config.test_split = split
    if prompting.num_fewshot is not None and task.config.num_fewshot != 0:  # (as `lm_eval` has it)
        task.set_config(key="num_fewshot", value=prompting.num_fewshot)
    task.set_fewshot_seed(seed=1234)
    chat = prompting.apply_chat_template
    task.build_all_requests(
        limit=prompting.limit,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,  # (as `lm_eval run` has it)
        chat_template=lm.apply_chat_template if chat else None,
        tokenizer_name=lm.tokenizer_name if chat else "",
    )
    return list(task.instances)


def check_split(name: str, task: Any, split: str) -> None:
    """Raises `InvalidInputError` if a task's data set has no such split."""
    there = all_splits(task)
    if split not in there:
        raise invalid("--split", f"one of {', '.join(there)} (task `{name}`)", f"`{split}`")


def format_of(name: str, task: Any, prompting: Prompting, lm: Any) -> RunPrompts:
    """How a task's documents were put to a model by `build`."""
    chat = prompting.apply_chat_template
    return RunPrompts(template_of(lm, chat), instruction_of(None), chat, {name: shots_of(task)})


def evaluation_split(task: Any) -> str:
    """The split that the task evaluates on."""
    return str(task.config.test_split or task.config.validation_split)


def held_back(hashes: NDArray[np.uint64]) -> NDArray[np.bool_] | None:
    """(N,) which documents of a split without a validation split are to judge by.

    Every fifth, by its hash; `None` where there are so few that there is nothing to part.
    """
    back: NDArray[np.bool_] = hashes % HELD_BACK == 0
    return back if back.any() and not back.all() else None


def other_split(
    name: str,
    there: Sequence[str],
    evaluated: str,
    order: Sequence[str] = ("validation", "train"),
) -> str:
    """The first split of `order` that a task has and is not evaluated on.

    Raises:
        InvalidInputError: there is none.
    """
    for split in order:
        if split in there and split != evaluated:
            return split
    raise InvalidInputError(
        f"`{name}` is evaluated on `{evaluated}` and has no other labelled split (it has "
        f"{', '.join(there)}). Fit on logged samples of another task, or name a --split."
    )
