"""A scorer from labels of whole responses: losses, early stopping, weights, and pseudo-labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.aggregates import ResponseBelief, aggregate
from lm_eval_calibration.fractal.bags import BagMaterial, Bags, Batch, batch
from lm_eval_calibration.fractal.judging import (
    judged,
    log_odds,
    most_regularised,
    recalibrated_losses,
)
from lm_eval_calibration.fractal.losses import (
    Weights,
    bag_loss,
    correlation_prior,
    cosine_prior,
    preference_loss,
    sentence_loss,
)
from lm_eval_calibration.fractal.network import SentenceNetwork
from lm_eval_calibration.fractal.pseudo_labels import pseudo_labels
from lm_eval_calibration.fractal.settings import CANDIDATES, FractalSettings
from lm_eval_calibration.predictions import Floats, Ints

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Stage:
    """One trained network.

    Attributes:
        network: with the lowest validation loss.
        loss: that one, on responses' labels or preferences.
        epochs: how many it was trained for.
    """

    network: SentenceNetwork
    loss: float
    epochs: int


class TrainedScorer(NamedTuple):
    """What `train` gives.

    stages: the network trained on responses' labels, then one for each round of pseudo-labels.
    weights: of the first stage's losses.
    tried: mean recalibrated validation loss by the weights that were tried.
    """

    stages: list[Stage]
    weights: Weights
    tried: dict[Weights, float]


def train(
    learn: BagMaterial,
    judge: BagMaterial,
    settings: FractalSettings,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedScorer:
    """Train on responses' labels (or preferences), then on the labels of sentences they imply.

    Args:
        learn: to train on.
        judge: other responses, by whose labels trainings are stopped and weights chosen.
        settings: see there.
        seed: of weights and order.
        progress: called with what is being done.

    Raises:
        InvalidInputError: nothing to learn from, or nothing to judge by.
    """
    for name, part in (("learn", learn), ("judge", judge)):
        if not len(part) or (part.pairs is None and np.isnan(part.bags.labels).any()):
            raise InvalidInputError(f"`{name}` must have labelled responses, or preferences.")
    say = progress or (lambda text: None)
    weights, tried = _choose(learn, judge, settings, seed, say)
    say("responses' labels")
    stages = [fit(learn, judge, settings, weights, seed)]
    if learn.pairs is None:
        for number in range(1, settings.rounds + 1):
            say(f"pseudo-labels, round {number}")
            labels = implied(stages[-1].network, learn.bags, settings.aggregate)
            part = BagMaterial(learn.bags, sentence_labels=labels)
            stages.append(fit(part, judge, settings, weights, seed + number))
    return TrainedScorer(stages, weights, tried)


def _choose(
    learn: BagMaterial, judge: BagMaterial, settings: FractalSettings, seed: int, say: Progress
) -> tuple[Weights, dict[Weights, float]]:
    if settings.weights is not None:
        return settings.weights, {}
    few = learn
    if len(learn.bags) > settings.search_size:
        rng = np.random.default_rng(seed)
        few = learn.part(np.sort(rng.permutation(len(learn.bags))[: settings.search_size]))
    losses = {}
    for weights in CANDIDATES:
        say("weights {:g}, {:g}, {:g}".format(*weights))
        network = fit(few, judge, settings, weights, seed).network
        losses[weights] = recalibrated_losses(network, judge, settings)
    return most_regularised(losses), {w: float(each.mean()) for w, each in losses.items()}


def fit(
    learn: BagMaterial, judge: BagMaterial, settings: FractalSettings, weights: Weights, seed: int
) -> Stage:
    """One network, as it was when the loss on `judge` was lowest."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return _fit(learn, judge, settings, weights, np.random.default_rng(seed))
    finally:
        torch.random.set_rng_state(torch_state)


def _fit(
    learn: BagMaterial,
    judge: BagMaterial,
    settings: FractalSettings,
    weights: Weights,
    rng: np.random.Generator,
) -> Stage:
    inputs = learn.bags.inputs
    network = SentenceNetwork(
        inputs.shape[1], learn.bags.sentences.shape[1], settings.hidden, settings.interaction
    )
    network.standardise(inputs)
    optimiser = torch.optim.AdamW(
        network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay
    )
    best, least, since, epochs = copy.deepcopy(network.state_dict()), np.inf, 0, 0
    while epochs < settings.epochs and since < settings.patience:
        for numbers in _batches(rng, len(learn), settings.batch_size):
            optimiser.zero_grad()
            _loss(network, learn, numbers, settings, weights).backward()
            optimiser.step()
        loss = judged(network, judge, settings)
        epochs, since = epochs + 1, since + 1
        if loss < least:
            best, least, since = copy.deepcopy(network.state_dict()), loss, 0
    network.load_state_dict(best)
    return Stage(network.eval(), float(least), epochs)


def _batches(rng: np.random.Generator, count: int, size: int) -> Iterator[Ints]:
    order = rng.permutation(count)
    for start in range(0, count, size):
        yield order[start : start + size]


def _loss(
    network: SentenceNetwork,
    learn: BagMaterial,
    numbers: Ints,
    settings: FractalSettings,
    weights: Weights,
) -> Tensor:
    if learn.sentence_labels is not None:
        part = batch(learn.bags, numbers, learn.sentence_labels)
        z = part.padded(network(learn.bags.inputs[part.rows]))
        return sentence_loss(z, part.mask, part.sentence_labels)
    if learn.pairs is None:
        part = batch(learn.bags, numbers)
        z = part.padded(network(learn.bags.inputs[part.rows]))
        belief = aggregate(z, part.mask, settings.aggregate, settings.form)
        main = bag_loss(belief, part.labels, settings.bag_loss)
    else:
        first, second = learn.pairs.first[numbers], learn.pairs.second[numbers]
        part = batch(learn.bags, np.r_[first, second])
        z = part.padded(network(learn.bags.inputs[part.rows]))
        belief = aggregate(z, part.mask, settings.aggregate, settings.form)
        target = torch.from_numpy(learn.pairs.target[numbers].astype(np.float32))
        main = _preferred(belief, target)
    return weights.bag * main + _priors(z, part, weights)


def _priors(z: Tensor, part: Batch, weights: Weights) -> Tensor:
    total = z.new_zeros(())
    if weights.cosine:
        total = total + weights.cosine * cosine_prior(z, part.mask, part.cosine)
    if weights.correlation:
        total = total + weights.correlation * correlation_prior(z, part.mask, part.correlation)
    return total


def _preferred(belief: ResponseBelief, target: Tensor) -> Tensor:
    half = len(target)
    first = ResponseBelief(belief.log_right[:half], belief.log_wrong[:half])
    second = ResponseBelief(belief.log_right[half:], belief.log_wrong[half:])
    return preference_loss(first, second, target)


def implied(network: SentenceNetwork, bags: Bags, kind: str) -> Floats:
    """(M,) the most probable labels of all sentences, given their responses' labels."""
    p = torch.sigmoid(log_odds(network, bags)).double().numpy()
    parts = np.split(p, bags.offsets[1:-1])
    found = [
        pseudo_labels(part, label, kind) for part, label in zip(parts, bags.labels, strict=True)
    ]
    return np.concatenate(found).astype(np.float64)
