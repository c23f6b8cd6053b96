"""Labelled beliefs from a model's pass over tasks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.arguments import parameters
from lm_eval_calibration.errors import CalibrationError, invalid
from lm_eval_calibration.features import FeatureStore
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.collect import collect
from lm_eval_calibration.fitting.sharing import Progress
from lm_eval_calibration.fitting.task_documents import (
    LabelledTask,
    Selection,
    evaluation_split,
    labelled,
    other_split,
)
from lm_eval_calibration.harness.api import simple_parse_args_string
from lm_eval_calibration.harness.loading import loading, refuse_lost
from lm_eval_calibration.harness.naming import model_class
from lm_eval_calibration.harness.tasks import all_splits
from lm_eval_calibration.models.shared.fingerprint import name_of, weights_of
from lm_eval_calibration.models.shared.processes import joined
from lm_eval_calibration.redact import hiding, redact, secrets_in

DEVICE = "cuda:0"
"""What `lm_eval` tells a model where `--device` says nothing: `hf` then takes the CPU if that is all."""


@dataclass(frozen=True)
class ModelArguments:
    """A model as `lm_eval` is told of it."""

    model: str
    model_args: str
    device: str | None = None
    batch_size: str | None = None

    def create(self) -> Any:
        """The model, loaded.

        Raises:
            InvalidInputError: there is no such model, or it does not take these arguments.
        """
        try:
            told = simple_parse_args_string(self.model_args)
            device = self.device or (None if "device" in told else DEVICE)
            more = {"device": device, "batch_size": self.batch_size}
            kind = model_class(self.model)
            with hiding(secrets_in(self.model_args)), loading(told, parameters(kind)):
                refuse_lost(told)
                made = kind.create_from_arg_string(self.model_args, more)  # type: ignore[attr-defined]
                return joined(made)
        except CalibrationError:
            raise
        except Exception as error:  # noqa: BLE001 - a loader raises whatever it likes
            said = f"`{self.model_args}` ({type(error).__name__}: {error})"
            raise invalid(
                "--model_args",
                f"what `lm_eval --model {self.model}` takes, e.g. pretrained=NAME",
                redact(said, secrets_in(self.model_args)),
            ) from None  # (whose text may tell secrets)


@dataclass(frozen=True)
class AskedTask:
    """The documents of one task: to learn from, and to judge by."""

    learn: LabelledTask
    judge: LabelledTask | None = None


def ask(lm: Any, selection: Selection) -> dict[str, AskedTask]:
    """Requests about the labelled documents of tasks.

    Args:
        lm: the model that will answer.
        selection: to learn from; without a split the one that each task evaluates on. A validation
            split, where there is another one, is to judge by.
    """
    found = {}
    for name, task in selection.load().items():
        first = selection.split or evaluation_split(task)
        learn = labelled(name, task, first, selection.prompting, lm)
        other = "validation" if first != "validation" and "validation" in all_splits(task) else None
        judge = labelled(name, task, other, selection.prompting, lm) if other else None
        found[name] = AskedTask(learn, judge)
    return found


def of_model(
    lm: Any,
    selection: Selection,
    counting: Callable[[int], AbstractContextManager[Progress | None]],
    store: FeatureStore | None = None,
    told: str = "",
) -> Beliefs:
    """The beliefs of a model about labelled documents that its tasks do not evaluate on.

    Args:
        lm: any model of the harness.
        selection: without a split `validation`, or `train` where there is none or tasks are
            evaluated on it.
        counting: a progress bar over so many documents.
        store: where parts of the pass are kept, so that one that was killed goes on.
        told: the model's arguments.

    Raises:
        InvalidInputError: a task without such a split.
    """
    asked, notes = {}, []
    for name, task in selection.load().items():
        evaluated = evaluation_split(task)
        chosen = selection.split or other_split(name, all_splits(task), evaluated)
        if chosen == evaluated:
            notes.append(f"`{name}` is evaluated on its {chosen} split, which is fitted on here.")
        asked[name] = labelled(name, task, chosen, selection.prompting, lm)
    with counting(sum(len(part.gold) for part in asked.values())) as progress:
        every = list(asked.values())
        found = collect(lm, every, store, hidden=False, told=told, progress=progress)
    return Beliefs(
        {features.task: features.predictions for features in found},
        {features.task: features.documents for features in found},
        name_of(lm),
        weights_of(lm),
        {name: part.prompts for name, part in asked.items()},
        notes,
    )
