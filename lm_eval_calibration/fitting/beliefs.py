"""Labelled beliefs to fit on, and those of runs that were logged, for which no harness is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.formats.harness.recorded import model_of, prompts_of
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.prompt_format import PromptFormat


@dataclass(frozen=True)
class Beliefs:
    """Labelled predictions by task, and where they came from; see `Training`."""

    predictions: dict[str, Predictions]
    documents: dict[str, NDArray[np.uint64]]
    base_model: str = ""
    fingerprint: str = ""
    prompts: dict[str, PromptFormat] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def training(self) -> Training:
        """What an artifact remembers of them."""
        return Training(
            {task: len(p) for task, p in self.predictions.items()},
            np.concatenate(list(self.documents.values())),
            self.base_model,
            self.fingerprint,
            self.prompts,
        )


def of_runs(runs: Sequence[Run]) -> Beliefs:
    """The beliefs that were logged, by task.

    Raises:
        InvalidInputError: two runs, or a task and its twin, so that a document would count twice.
    """
    if len(runs) != 1:
        labels = ", ".join(run.label for run in runs) or "nothing"
        raise InvalidInputError(
            f"A calibrator is fitted on the samples of one run, got {len(runs)}: {labels}."
        )
    predictions: dict[str, Predictions] = {}
    documents = {}
    for name, samples in runs[0].samples.items():
        task = upstream_name(name)
        if task in predictions:
            raise InvalidInputError(
                f"The run holds `{task}` and its twin, which are the same documents: name the "
                "samples file of one of them."
            )
        predictions[task], documents[task] = samples.predictions, samples.doc_hash
    results = runs[0].results
    return Beliefs(predictions, documents, *model_of(results), prompts_of(results, runs[0].samples))
