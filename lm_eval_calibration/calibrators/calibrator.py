"""`Calibrator`: a fitted recalibrator, one for all tasks or one for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.calibrators import scores
from lm_eval_calibration.calibrators.artifact import Artifact, OtherKindError, Tensors, Training
from lm_eval_calibration.calibrators.contract import (
    Method,
    Options,
    Parameters,
    applied,
    labelled,
    options_of,
    transform,
)
from lm_eval_calibration.calibrators.methods import METHODS
from lm_eval_calibration.calibrators.validity import finite, text
from lm_eval_calibration.errors import (
    InvalidInputError,
    MissingExtraError,
    invalid,
    unknown_name,
)
from lm_eval_calibration.given import Beliefs, as_predictions
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.metrics.weighted import weights_of
from lm_eval_calibration.predictions import Floats, Ints, Predictions
from lm_eval_calibration.ragged import Block

SHOWN = 8
"""Numbers that a calibrator shows of itself."""
ALL = ""
"""The key of parameters that serve every task."""


class Calibrator(Artifact):
    """A recalibrator with its parameters.

    Args:
        method: its name, see `METHODS`.
        parameters: by task; under "" those for every task.
        training: what it was fitted on.
    """

    def __init__(
        self,
        method: str,
        parameters: Mapping[str, Parameters],
        training: Training | None = None,
    ) -> None:
        self._method = find(method)
        self.parameters = dict(parameters)
        self.training = training or Training()

    def __repr__(self) -> str:
        """Its method and parameters, and what it was fitted on."""
        sizes = [np.size(value) for p in self.parameters.values() for value in p.values()]
        fitted = ", ".join(f"{n:,} of {task}" for task, n in self.training.tasks.items() if task)
        what = (
            self._told()
            if max(sizes, default=1) == 1 and len(sizes) <= SHOWN
            else f"{sum(sizes)} numbers"
        )
        return f"Calibrator({self.method}: {what}{f'; fitted on {fitted}' if fitted else ''})"

    def _told(self) -> str:
        return ", ".join(
            (f"{task}: " if task else "")
            + ", ".join(f"{name} {float(value):.4g}" for name, value in found.items())
            for task, found in self.parameters.items()
        )

    @property
    def method(self) -> str:
        """Its name."""
        return self._method.name

    @property
    def keeps_order(self) -> bool:
        """Whether the more probable option stays so, and thus `acc` what it was."""
        return self._method.keeps_order

    @property
    def any_constant(self) -> bool:
        """Whether log-likelihoods are mapped one by one, as a temperature does."""
        return self._method.any_constant

    def transform(self, predictions: Predictions, task: str = ALL) -> Predictions:
        """The predictions with better beliefs.

        Args:
            predictions: N documents.
            task: whose documents they are; needed where each task has its own parameters.

        Raises:
            InvalidInputError: parameters for other tasks only, or predictions that the method
                cannot map; scores where it was fitted on probabilities, or the other way round.
        """
        if not isinstance(predictions, Predictions):
            raise invalid(
                "predictions", "`Predictions`", type(predictions).__name__,
                "`lm_eval_calibration.sklearn.Recalibrator` maps arrays.",
            )  # fmt: skip
        found = self._for(task)
        if predictions.are_scores or scores.of_scores(found):
            return scores.transform(self._method, found, predictions)
        return transform(self._method, found, predictions)

    @property
    def label_free(self) -> bool:
        """Whether it was fitted without labels."""
        return self._method.label_free or self.training.label_free

    def option_scores(self, logits: Floats, num_options: Ints, task: str = ALL) -> Floats:
        """(N, K) scores of options to put in the place of their log-likelihoods (N, K).

        A temperature divides them as they are, so that length-normalised choices (`acc_norm`) stay
        too; other methods give log-probabilities.

        Args:
            logits: -inf beyond a document's options.
            num_options: (N,) how many of the K columns are options.
            task: as for `transform`.
        """
        block = Block(slice(None), slice(None), num_options, logits.shape[1])
        flat = block.flat(logits)
        gold = np.zeros(len(flat), dtype=bool)
        if self._method.any_constant:
            found = applied(self._method, self._for(task), Options(flat, num_options, gold))
        else:
            given = Predictions.from_flat(flat, num_options, gold)
            mapped = self.transform(given, task).options
            assert mapped is not None
            found = mapped.values
        return block.padded(found, -np.inf)

    def _for(self, task: str) -> Parameters:
        found = self.parameters.get(task, self.parameters.get(ALL))
        if found is None:
            raise InvalidInputError(
                f"This calibrator was fitted task by task, on {', '.join(self.parameters)}, and has "
                f"nothing for `{task}`. `lm-calib fit` without --per-task makes one for all."
            )
        return found

    def describe(self) -> dict[str, Any]:
        """The package that adds its method, if not this one; small tensors, for the reader."""
        package = METHODS.package(self.method)
        return {
            **({"package": package} if package else {}),
            "parameters": {
                task or "all tasks": {k: v.tolist() for k, v in parameters.items() if v.size <= 10}
                for task, parameters in self.parameters.items()
            },
        }

    def tensors(self) -> Tensors:
        """Parameters by `task:name`."""
        return {
            f"{task}:{name}": np.array(value, dtype=np.float64, order="C")
            for task, parameters in self.parameters.items()
            for name, value in parameters.items()
        }

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: Tensors, training: Training) -> Calibrator:
        """The calibrator of its files.

        Raises:
            InvalidInputError: an unknown method, or parameters that it cannot have found.
            MissingExtraError: a method of a package that is not installed.
        """
        name, package = text(config, "method"), config.get("package")
        if name not in METHODS and package and isinstance(package, str):
            raise MissingExtraError(
                f"This calibrator was fitted with `{name}`, which the package {package} adds: install "
                "that package."
            )
        if name == "thermometer":
            raise OtherKindError("is the folder of a thermometer, which --model thermometer takes.")
        method = find(name)
        finite(tensors)
        parameters: dict[str, Parameters] = {}
        for key, value in tensors.items():
            task, _, name = key.rpartition(":")
            parameters.setdefault(task, {})[name] = value
        for task, found in parameters.items() or [(ALL, {})]:
            try:
                scores.check(found)
                method.check(scores.own_parameters(found))
            except BrokenMemberError:
                raise
            except InvalidInputError as error:
                raise InvalidInputError(f"task `{task}`: {error}" if task else str(error)) from None
        return cls(method.name, parameters, training)


def find(method: str) -> Method:
    """The recalibrator of a name.

    Raises:
        UnknownNameError: there is none.
    """
    if method not in METHODS:
        error = unknown_name("calibrator", method, METHODS)
        raise type(error)(f"{error} If a package of somebody else's adds it, install that.")
    return METHODS[method]


def fit(
    method: str,
    predictions: Beliefs | Mapping[str, Predictions],
    training: Training | None = None,
    *,
    truth: ArrayLike | None = None,
    scale: str | None = None,
    sample_weight: ArrayLike | None = None,
) -> Calibrator:
    """Fit a recalibrator.

    Args:
        method: its name, see `METHODS`.
        predictions: labelled documents, or their beliefs as `evaluate` takes them; by task, for parameters of
            each task's own.
        training: what to remember of where they came from.
        truth: what was true, where `predictions` are no `Predictions`.
        scale: of options' numbers, as `evaluate` has it.
        sample_weight: (N,) how many documents each stands for: as if it stood there so often.

    Raises:
        UnknownNameError: there is no such method.
        InvalidInputError: weights that are none, of several tasks, or for a method that takes none.
        InvalidInputError: no document has a right option, the method needs options, or it needs
            probabilities and these are scores.

    >>> sure = Predictions.from_options([[0.0, 9.0], [0.0, 9.0], [9.0, 0.0]], [1, 1, 1])
    >>> fit("temperature", sure).transform(sure).confidence.round(2).tolist()  # right 2 times in 3
    [0.67, 0.67, 0.67]
    """
    found = find(method)
    if training is not None and not isinstance(training, Training):
        raise invalid(
            "training", "a `Training`", type(training).__name__, "What was true is `truth`."
        )
    if not isinstance(predictions, Mapping):
        predictions = as_predictions(predictions, truth, scale=scale)
    if sample_weight is not None:
        if isinstance(predictions, Mapping) or not found.weighted or predictions.are_scores:
            taken = ", ".join(name for name in METHODS if METHODS[name].weighted)
            raise invalid(
                "sample_weight", f"left out but for one task's probabilities and {taken}", "given"
            )
        weight = weights_of(sample_weight, len(predictions))
        return Calibrator(method, {ALL: _fit(found, predictions, weight)}, training)
    by_task = predictions if isinstance(predictions, Mapping) else {ALL: predictions}
    return Calibrator(method, {name: _fit(found, p) for name, p in by_task.items()}, training)


def _fit(method: Method, predictions: Predictions, weight: Floats | None = None) -> Parameters:
    if predictions.are_scores:
        return scores.fit(method, predictions)
    if predictions.options is None:
        if method.fit_pairs is not None:
            more = () if weight is None else (weight,)
            return method.fit_pairs(predictions.confidence, predictions.correct.astype(bool), *more)
        if not method.keeps_order:
            raise InvalidInputError(f"`{method.name}` needs options; these are confidences only.")
    read = options_of if method.label_free else labelled
    return method.fit(read(predictions, weight))
