"""A model's own answers to generation tasks, and whether it takes them for right, labelled by the tasks.

What a thermometer learns from where there are no options (Shen et al., ICML 2024, on free-form
answers): of each answer the question "is it right?", (A) yes or (B) no, as `--model p_true` puts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fitting.sources import AskedTask, ModelArguments
from lm_eval_calibration.fitting.task_documents import (
    LabelledTask,
    Selection,
    build,
    evaluation_split,
    format_of,
)
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.p_true import PTrueLM
from lm_eval_calibration.models.shared.identity import identity
from lm_eval_calibration.models.shared.kept import Kept
from lm_eval_calibration.models.shared.run_prompts import options_of
from lm_eval_calibration.tasks.unpacking import Unpacked

log = logger(f"lm_eval.{__name__}")

TRIAL = "It is one of the things that are known by this name, and the other one is not."
"""An answer to everything, by which a task's metric shows whether it scores in between."""
SHOWN = 0.5
"""A confidence of answers that are only to be graded."""


def asker(model: ModelArguments) -> PTrueLM:
    """`--model p_true` around a model.

    Raises:
        InvalidInputError: several processes would answer each question.
    """
    arguments = ",".join(filter(None, (f"base={model.model}", model.model_args)))
    found: PTrueLM = ModelArguments("p_true", arguments, model.device, model.batch_size).create()
    if found.world_size > 1:
        raise InvalidInputError(
            f"`--free_form` runs in one process, got {found.world_size}: start it without `accelerate launch`."
        )
    return found


@dataclass(frozen=True)
class FreeFormAnswering:
    """How a model's own answers are made and graded.

    Attributes:
        selection: of generation tasks; without a split the one that each task evaluates on.
        filter_name: which filter grades, of tasks that have several; `None` for the first.
        kept: a file in which answers are kept, so that a pass that was killed goes on.
    """

    selection: Selection
    filter_name: str | None = None
    kept: Path | None = None

    def ask(self, lm: PTrueLM, tasks: Mapping[str, Any]) -> dict[str, AskedTask]:
        """Requests whether the model's own answers are right, and which of them are.

        Args:
            lm: what answers, and is asked.
            tasks: by name, as `selection` loads them.

        Raises:
            InvalidInputError: a task whose metric scores answers between 0 and 1, or that has no such
                filter; all answers of a task right, or none.
        """
        if self.kept is not None:
            self.kept.parent.mkdir(parents=True, exist_ok=True)
            lm.phases.cache = Kept(self.kept, identity(lm.base, lm.model_args))
        built = {name: self._built(lm, name, task) for name, task in tasks.items()}
        for name, task in tasks.items():  # (before hours of answering)
            _graded(name, task, [TRIAL] * len(built[name]), self.filter_name)
        return {
            name: AskedTask(self._asked(lm, name, task, built[name]))
            for name, task in tasks.items()
        }

    def _built(self, lm: PTrueLM, name: str, task: Any) -> list[Any]:
        split = self.selection.split or evaluation_split(task)
        return build(name, task, split, self.selection.prompting, lm)

    def _asked(self, lm: PTrueLM, name: str, task: Any, requests: list[Any]) -> LabelledTask:
        prompting = self.selection.prompting
        split = self.selection.split or evaluation_split(task)
        answers = lm.phases.generate(requests, f"answering `{name}`")
        right = _right(name, task, answers, self.filter_name)
        log.info("Task `%s`: %d of %d answers are right.", name, sum(right), len(right))
        questions = lm.questions(requests, answers)
        gold = {
            request.doc_id: [0 if found else 1]
            for request, found in zip(requests, right, strict=True)
        }
        run = format_of(name, task, prompting, lm)
        prompts = run.of(name, options_of(questions), lm.source)
        return LabelledTask(name, split, questions, gold, prompts)


def _graded(
    name: str, task: Any, answers: Sequence[str], filter_name: str | None
) -> list[Unpacked]:
    """(D,) what the task makes of each answer, plainly right or wrong.

    Raises:
        InvalidInputError: it has no such filter, or scores answers between 0 and 1.
    """
    found = task.unpacked([Envelope(PTrueLM.source, str(a), SHOWN) for a in answers])
    there = list(found[0])
    if len(there) == 1:
        filter_name = None
    if filter_name is not None and filter_name not in there:
        raise invalid("--filter", f"one of {', '.join(there)} (task `{name}`)", f"`{filter_name}`")
    graded: list[Unpacked] = [one[filter_name or there[0]] for one in found]
    between = next((g.score for g in graded if g.score not in (0, 1)), None)
    if between is not None:
        raise InvalidInputError(
            f"Task `{name}`: `{task.judged_by}` scores answers between 0 and 1 (got {between:.3g}), so none "
            "is plainly right or wrong. Leave the task out."
        )
    return graded


def _right(name: str, task: Any, answers: Sequence[str], filter_name: str | None) -> list[bool]:
    """(D,) whether the task calls each answer right; some of them."""
    graded = _graded(name, task, answers, filter_name)
    right = [g.answered and g.score == 1 for g in graded]
    if len(set(right)) < 2:
        raise InvalidInputError(
            f"Task `{name}`: {'all' if right[0] else 'none'} of the {len(right)} answers are right, by "
            f"`{task.judged_by}`: there is nothing to learn from. Name another --filter of the task, a "
            "larger --limit, or leave the task out."
        )
    return right
