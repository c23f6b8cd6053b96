"""Every task once as the unlabelled one: what a thermometer of all others does to it, and its rivals.

Rows, for each task that is held out:

- `vanilla`: as the model has it;
- `ts_cv`: one temperature, fitted on the labelled documents of all other tasks;
- `daca`: where a run of the model's pre-trained sibling is given, the temperature at which the two are equally
  sure of the task's documents (`calibrators.daca`); like the thermometer's it needs none of its labels;
- `thermometer`: trained on the other tasks, its temperature from the task's prompts alone;
- `oracle`: the best temperature in hindsight, from the task's own labels. No competitor;
- `floor`: what a perfectly calibrated model with the oracle's confidences would score on so few
  documents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.calibrators.daca import align
from lm_eval_calibration.calibrators.thermometer import Thermometer, ThermometerSettings, train
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.features import Features
from lm_eval_calibration.fitting.thermometer import TaskFeatures
from lm_eval_calibration.logs import Run
from lm_eval_calibration.metrics.evaluate import estimate
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions

JUDGED_METHODS = ("vanilla", "ts_cv", "daca", "thermometer", "oracle", "floor")
BINS = 10
NULL_DRAWS = 200


class HeldOutColumn(NamedTuple):
    """A figure of the table: a metric, of beliefs as they are or as they are read."""

    metric: str
    read: Callable[[Predictions], Predictions] = lambda beliefs: beliefs

    def of(self, beliefs: Predictions) -> float:
        """Its value."""
        return estimate(self._bound, self.read(beliefs), replicates=0).value

    def floor(self, beliefs: Predictions) -> float:
        """Its mean if the beliefs were calibrated; NaN of what has no such mean."""
        band = estimate(self._bound, self.read(beliefs), replicates=NULL_DRAWS).null
        return band.mean if band else float("nan")

    @property
    def _bound(self) -> BoundMetric:
        binned = {"ece", "tl_ece", "mce"}
        return bind(self.metric, {"num_bins": BINS} if self.metric in binned else {})


def answers_of(beliefs: Predictions) -> Predictions:
    """Beliefs in "yes, it is right" and "no" as confidences of answers, right where "yes" is.

    >>> one = Predictions.from_options([[0.0, 0.0], [2.0, 0.0]], [[1], [0]])
    >>> answers_of(one).confidence.round(2).tolist(), answers_of(one).correct.tolist()
    ([0.5, 0.88], [False, True])
    """
    probabilities, gold = beliefs.probabilities, beliefs.gold
    assert probabilities is not None and gold is not None
    return Predictions.from_confidences(probabilities[:, 0], gold[:, 0])


Columns = Mapping[str, HeldOutColumn]
OPTIONS: Columns = {name: HeldOutColumn(name) for name in ("ece", "tl_ece", "mce", "nll", "brier")}
ANSWERS: Columns = {
    **{name: HeldOutColumn(name, answers_of) for name in ("ece", "auroc")},
    **{name: HeldOutColumn(name) for name in ("nll", "brier")},
    "ece_choice": HeldOutColumn("ece"),
}
"""Of free-form answers. `ece_choice` is the published one: of whichever of "yes" and "no" is likelier."""


@dataclass(frozen=True)
class HeldOutTask:
    """What came out for one held-out task.

    Attributes:
        task: its name.
        documents: how many.
        acc: the model's.
        temperatures: by method; the thermometer's one for each seed.
        scores: metric by method; the thermometer's one for each seed.
    """

    task: str
    documents: int
    acc: float
    temperatures: dict[str, list[float]]
    scores: dict[str, dict[str, list[float]]]


def leave_one_out(
    tasks: Mapping[str, TaskFeatures],
    settings: ThermometerSettings,
    seeds: Sequence[int],
    progress: Callable[[int], None] | None = None,
    columns: Columns = OPTIONS,
    reference: Run | None = None,
) -> list[HeldOutTask]:
    """Hold out every task once.

    Args:
        tasks: at least two.
        settings: of the thermometers.
        seeds: one thermometer each, for every held-out task.
        progress: called with the number of trainings done since the last call.
        columns: what is measured.
        reference: a run of the model's pre-trained sibling on the same documents.

    Raises:
        InvalidInputError: fewer than two tasks; a task that the reference does not have.
    """
    if len(tasks) < 2:
        raise InvalidInputError(
            f"Leaving one task out needs at least two, got {', '.join(tasks) or 'none'}."
        )
    results = []
    for name, task in tasks.items():
        others = [part for other, part in tasks.items() if other != name]
        thermometers = []
        for seed in seeds:
            thermometers.append(
                train([o.learn for o in others], [o.judge for o in others], settings, seed=seed)
            )
            if progress is not None:
                progress(1)
        pooled = Predictions.concatenate([o.learn.predictions for o in others])
        sibling = None if reference is None else _aligned(task.learn, reference)
        results.append(_held_out(task, pooled, thermometers, columns, sibling))
    return results


def _aligned(features: Features, reference: Run) -> float:
    """The temperature of a task that its sibling's run gives."""
    there = {upstream_name(name): s for name, s in reference.samples.items()}
    if features.task not in there:
        raise invalid("--reference", f"a run with `{features.task}`", ", ".join(there))
    samples = there[features.task]
    shared, mine, theirs = np.intersect1d(features.documents, samples.doc_hash, return_indices=True)
    if not len(shared):
        raise invalid("--reference", f"a run on documents of `{features.task}`", "other documents")
    return align(features.predictions.take(mine), samples.predictions.take(theirs)).temperature


def _held_out(
    task: TaskFeatures,
    pooled: Predictions,
    thermometers: Sequence[Thermometer],
    columns: Columns,
    sibling: float | None,
) -> HeldOutTask:
    features, own = task.learn, task.learn.predictions
    temperatures = {
        "vanilla": [1.0],
        "ts_cv": [fitted_temperature(pooled)],
        **({} if sibling is None else {"daca": [sibling]}),
        "thermometer": [
            t.temperature(t.inverse_temperatures(features.hidden)) for t in thermometers
        ],
        "oracle": [fitted_temperature(own)],
    }
    scores = {
        method: {
            name: [column.of(scaled(own, value)) for value in values]
            for name, column in columns.items()
        }
        for method, values in temperatures.items()
    }
    best = scaled(own, temperatures["oracle"][0])
    scores["floor"] = {name: [column.floor(best)] for name, column in columns.items()}
    first = next(iter(columns.values()))
    acc = float(first.read(own).correct.mean())
    return HeldOutTask(features.task, len(own), acc, temperatures, scores)


def fitted_temperature(predictions: Predictions) -> float:
    """The temperature with the least NLL on labelled documents."""
    return float(fit("temperature", predictions).parameters[""]["temperature"])


def scaled(predictions: Predictions, temperature: float) -> Predictions:
    """The predictions at a temperature."""
    return Calibrator("temperature", {"": {"temperature": np.array(temperature)}}).transform(
        predictions
    )


@dataclass(frozen=True)
class Summary:
    """A metric of a method over tasks.

    Attributes:
        mean: over tasks (of the mean over seeds).
        over_tasks: its standard error over tasks.
        over_seeds: standard deviation over seeds of the mean over tasks; 0 for one seed.
    """

    mean: float
    over_tasks: float
    over_seeds: float


def methods_of(results: Sequence[HeldOutTask]) -> list[str]:
    """The rows of the table."""
    return [method for method in JUDGED_METHODS if method in results[0].scores]


def metrics_of(results: Sequence[HeldOutTask]) -> list[str]:
    """The names of what was measured."""
    return list(results[0].scores["vanilla"])


def summarise(results: Sequence[HeldOutTask]) -> dict[str, dict[str, Summary]]:
    """Means over tasks, by method and metric."""
    return {
        method: {
            metric: _summary([r.scores[method][metric] for r in results])
            for metric in metrics_of(results)
        }
        for method in methods_of(results)
    }


def differences(results: Sequence[HeldOutTask]) -> dict[str, dict[str, Summary]]:
    """The thermometer's figures less each rival's, paired by task, by rival and metric."""
    return {
        rival: {
            metric: _summary(
                [
                    [
                        value - r.scores[rival][metric][0]
                        for value in r.scores["thermometer"][metric]
                    ]
                    for r in results
                ]
            )
            for metric in metrics_of(results)
        }
        for rival in methods_of(results)
        if rival not in ("thermometer", "floor")
    }


def _summary(by_task: Sequence[Sequence[float]]) -> Summary:
    means = [mean(values) for values in by_task]
    seeds = np.mean(np.array([list(values) for values in by_task]), axis=0)
    error = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")
    return Summary(mean(means), error, float(seeds.std()))


def mean_nll(predictions: Predictions) -> float:
    """Mean NLL of labelled documents."""
    return estimate(bind("nll"), predictions, replicates=0).value
