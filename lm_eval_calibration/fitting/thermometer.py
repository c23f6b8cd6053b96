"""Features of many tasks, and a thermometer trained on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.calibrators.thermometer import Thermometer, ThermometerSettings, train
from lm_eval_calibration.features import Features, FeatureStore
from lm_eval_calibration.fitting.collect import collect
from lm_eval_calibration.fitting.sharing import Progress
from lm_eval_calibration.fitting.sources import AskedTask
from lm_eval_calibration.fitting.task_documents import held_back
from lm_eval_calibration.models.shared.fingerprint import name_of, weights_of


@dataclass(frozen=True)
class TaskFeatures:
    """One task's documents: to learn from, and to judge training by."""

    learn: Features
    judge: Features


def collect_all(
    lm: Any,
    asked: dict[str, AskedTask],
    folder: Path,
    told: str = "",
    progress: Progress | None = None,
) -> dict[str, TaskFeatures]:
    """One pass over all documents, from the store in `folder` where it has been made before."""
    store = FeatureStore(folder)
    learn = [part.learn for part in asked.values()]
    judge = {name: part.judge for name, part in asked.items() if part.judge}
    found = collect(lm, [*learn, *judge.values()], store, told=told, progress=progress)
    judged = dict(zip(judge, found[len(learn) :], strict=True))
    return {
        name: TaskFeatures(part, judged[name]) if name in judged else _parted(part)
        for name, part in zip(asked, found, strict=False)
    }


def documents_in(asked: dict[str, AskedTask]) -> int:
    """How many documents a pass has."""
    parts = [part for one in asked.values() for part in (one.learn, one.judge) if part]
    return sum(len(part.gold) for part in parts)


def fit(
    lm: Any,
    asked: dict[str, AskedTask],
    tasks: Sequence[TaskFeatures],
    settings: ThermometerSettings,
    seed: int = 0,
    progress: Progress | None = None,
) -> Thermometer:
    """A thermometer for the model `lm`, of all tasks, as they were asked."""
    thermometer = train(
        [task.learn for task in tasks],
        [task.judge for task in tasks],
        settings,
        seed=seed,
        base_model=name_of(lm),
        fingerprint=weights_of(lm),
        progress=progress,
    )
    prompts = {  # (it is for tasks of other options, too)
        name: replace(part.learn.prompts, options=None) for name, part in asked.items()
    }
    thermometer.training = replace(thermometer.training, prompts=prompts)
    return thermometer


def _parted(features: Features) -> TaskFeatures:
    back = held_back(features.documents)
    if back is None:
        return TaskFeatures(features, features)
    return TaskFeatures(features.take(np.flatnonzero(~back)), features.take(np.flatnonzero(back)))
