"""Training the recognition network on labelled tasks (Shen et al., 2024, as released)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.calibrators.thermometer.artifact import (
    SMALLEST_SPREAD,
    Thermometer,
    standardised,
)
from lm_eval_calibration.calibrators.thermometer.network import Recognition
from lm_eval_calibration.calibrators.thermometer.settings import PRESETS, ThermometerSettings
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.features import Features
from lm_eval_calibration.features.table import check


class Task(NamedTuple):
    """Documents of one task as tensors.

    states (N, H); logits (N, K) in nats, 0 where there is no option; options (N, K) and gold
    (N, K) booleans.
    """

    states: torch.Tensor
    logits: torch.Tensor
    options: torch.Tensor
    gold: torch.Tensor

    def rows(self, which: torch.Tensor) -> Task:
        """Some of the documents."""
        return Task(*(column[which] for column in self))


@dataclass
class _Best:
    loss: float = float("inf")
    step: int = 0
    state: dict[str, torch.Tensor] | None = None


def train(
    tasks: Sequence[Features],
    validation: Sequence[Features],
    settings: ThermometerSettings = PRESETS["default"],
    *,
    seed: int = 0,
    base_model: str = "",
    fingerprint: str = "",
    progress: Callable[[int], None] | None = None,
) -> Thermometer:
    """Train on labelled tasks.

    Args:
        tasks: documents to learn from.
        validation: other documents, of the same tasks, by whose NLL the best step is chosen.
        settings: see `PRESETS`.
        seed: of initial weights and batches; the same seed gives the same network.
        base_model: name of the model whose hidden states they are.
        fingerprint: of that model's weights.
        progress: called with the number of steps done since the last call.

    Raises:
        InvalidInputError: no tasks, no validation documents, a task in which no document has a
            right option, hidden states of different sizes, or a NaN among them.
    """
    _check(tasks, validation)
    size = tasks[0].hidden.shape[1]
    centre, spread = _moments(tasks) if settings.standardise else (np.zeros(size), np.ones(size))
    learn, judge = (
        [_task(f, centre.astype(np.float32), spread.astype(np.float32)) for f in some]
        for some in (tasks, validation)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = settings.width or max(1, size // 8)
        network = Recognition(size, width, settings.branches, settings.start_at_one)
    best, history = _optimise(network, learn, judge, settings, seed, progress)
    assert best.state is not None
    network.load_state_dict(best.state)
    return Thermometer(
        network,
        settings,
        centre.astype(np.float32),
        spread.astype(np.float32),
        _training([*tasks, *validation], base_model, fingerprint),
        {"seed": seed, "step": best.step, "validation_nll": best.loss, "history": history},
    )


def _optimise(
    network: Recognition,
    learn: Sequence[Task],
    judge: Sequence[Task],
    settings: ThermometerSettings,
    seed: int,
    progress: Callable[[int], None] | None,
) -> tuple[_Best, list[list[float]]]:
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    generator = torch.Generator().manual_seed(seed)
    best = _Best()
    history: list[list[float]] = []
    recent: list[float] = []
    for step in range(settings.steps + 1):
        if step % settings.evaluate_every == 0:
            loss = validation_loss(network, judge, settings)
            history.append([step, float(np.mean(recent)) if recent else float("nan"), loss])
            recent = []
            if loss < best.loss:
                best = _Best(loss, step, copy.deepcopy(network.state_dict()))
            looks = (step - best.step) // settings.evaluate_every
            if settings.patience is not None and looks >= settings.patience:
                break
        if step < settings.steps:
            task = learn[int(torch.randint(len(learn), (), generator=generator))]
            recent.append(_step(network, optimiser, task, settings, generator))
            if progress is not None:
                progress(1)
    return best, history


def _step(
    network: Recognition,
    optimiser: torch.optim.Optimizer,
    task: Task,
    settings: ThermometerSettings,
    generator: torch.Generator,
) -> float:
    count = len(task.states)
    if count > settings.batch:
        task = task.rows(torch.randperm(count, generator=generator)[: settings.batch])
    optimiser.zero_grad()
    inverse = average(network(task.states), settings.mean)
    loss = _nll(task, inverse).mean() + settings.prior_weight * penalty(1 / inverse, settings)
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def average(inverse: torch.Tensor, mean: str) -> torch.Tensor:
    """() inverse temperature of a task from those (N,) of its documents.

    Their mean is the harmonic mean of the temperatures, as the paper has it.
    """
    return inverse.mean() if mean == "harmonic" else 1 / (1 / inverse).mean()


def penalty(temperature: torch.Tensor, settings: ThermometerSettings) -> torch.Tensor:
    """Negative log of the Gamma prior's density at a temperature, without its constant."""
    shape, rate = settings.prior_shape, settings.prior_rate
    return rate * temperature - (shape - 1) * temperature.log()


@torch.no_grad()
def validation_loss(
    network: Recognition, tasks: Sequence[Task], settings: ThermometerSettings
) -> float:
    """Sum over tasks of the mean NLL at the temperature of all the task's documents."""
    inverse = network(torch.cat([task.states for task in tasks])).split(
        [len(task.states) for task in tasks]
    )
    losses = [
        _nll(task, average(values, settings.mean)).mean()
        for task, values in zip(tasks, inverse, strict=True)
    ]
    return float(torch.stack(losses).double().sum())


def _nll(task: Task, inverse: torch.Tensor) -> torch.Tensor:
    """(N,) -log of the gold options' probability at an inverse temperature ()."""
    scaled = task.logits * inverse
    everything = scaled.masked_fill(~task.options, -torch.inf).logsumexp(dim=1)
    right = scaled.masked_fill(~(task.options & task.gold), -torch.inf).logsumexp(dim=1)
    return everything - right


def _task(features: Features, centre: np.ndarray, spread: np.ndarray) -> Task:
    options = np.isfinite(features.logits)
    known = (features.gold & options).any(axis=1)
    logits, options = features.logits[known], options[known]
    shifted = np.where(options, logits - logits.max(axis=1, keepdims=True, initial=-np.inf), 0.0)
    return Task(
        torch.from_numpy(standardised(features.hidden[known], centre, spread)),
        torch.from_numpy(shifted.astype(np.float32)),
        torch.from_numpy(options),
        torch.from_numpy(features.gold[known]),
    )


def _moments(tasks: Sequence[Features]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each hidden unit over all documents of the tasks."""
    states = np.concatenate([features.hidden for features in tasks]).astype(np.float64)
    spread = states.std(axis=0)
    return states.mean(axis=0), np.where(spread > SMALLEST_SPREAD, spread, 1.0)


def _training(features: Sequence[Features], base_model: str, fingerprint: str) -> Training:
    tasks: dict[str, int] = {}
    for part in features:
        tasks[part.task] = tasks.get(part.task, 0) + len(part)
    documents = np.unique(np.concatenate([part.documents for part in features]))
    return Training(tasks, documents, base_model, fingerprint)


def _check(tasks: Sequence[Features], validation: Sequence[Features]) -> None:
    for argument, features in (("tasks", tasks), ("validation", validation)):
        if not features:
            raise invalid(argument, "labelled documents of at least one task", "none")
        for part in features:
            check(part)
            if not (part.gold & np.isfinite(part.logits)).any():
                raise invalid(argument, "documents with a right option", f"none in `{part.task}`")
    sizes = {part.hidden.shape[1] for part in [*tasks, *validation]}
    if len(sizes) > 1 or 0 in sizes:
        raise invalid("tasks", "hidden states of one size, above 0", f"sizes {sorted(sizes)}")
