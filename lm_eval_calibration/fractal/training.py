"""A scorer from labels of whole responses: losses, early stopping, weights, and pseudo-labels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.aggregates import Belief, aggregate
from lm_eval_calibration.fractal.bags import Bags, Batch, Pairs, batch
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
from lm_eval_calibration.fractal.settings import CANDIDATES, Settings
from lm_eval_calibration.predictions import Floats, Ints

Progress = Callable[[str], None]
SCORED_AT_ONCE = 65_536


@dataclass(frozen=True, eq=False)
class Material:
    """Bags with what is known of them: labels, or preferences.

    Attributes:
        bags: responses.
        pairs: preferences between them; then their labels are not looked at.
        sentence_labels: (M,) to train on instead of responses' labels, or `None`.
    """

    bags: Bags
    pairs: Pairs | None = None
    sentence_labels: Floats | None = None

    def __len__(self) -> int:
        """How many are stepped through: responses, or pairs."""
        if self.pairs is None or self.sentence_labels is not None:
            return len(self.bags)
        return len(self.pairs.target)

    def part(self, responses: Ints) -> Material:
        """Some responses, and the pairs among them."""
        pairs = None if self.pairs is None else self.pairs.among(responses, len(self.bags))
        return Material(self.bags.take(responses), pairs)


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


class Trained(NamedTuple):
    """What `train` gives.

    stages: the network trained on responses' labels, then one for each round of pseudo-labels.
    weights: of the first stage's losses.
    tried: mean recalibrated validation loss by the weights that were tried.
    """

    stages: list[Stage]
    weights: Weights
    tried: dict[Weights, float]


def train(
    learn: Material,
    judge: Material,
    settings: Settings,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Trained:
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
            part = Material(learn.bags, sentence_labels=labels)
            stages.append(fit(part, judge, settings, weights, seed + number))
    return Trained(stages, weights, tried)


def _choose(
    learn: Material, judge: Material, settings: Settings, seed: int, say: Progress
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


def most_regularised(losses: dict[Weights, Floats]) -> Weights:
    """The weights with most on the priors that are no worse than the best by one standard error.

    Of the paired difference (Breiman et al., 1984, the one-standard-error rule): few responses
    cannot tell weights apart, and their labels do not show what the priors do for sentences. Of
    equal weight on the priors the lower loss is taken.

    Args:
        losses: (J,) of the same responses, by weights.
    """
    means = {weights: float(each.mean()) for weights, each in losses.items()}
    best = losses[min(means, key=lambda w: means[w])]
    good = [
        weights
        for weights, each in losses.items()
        if each is best or (each - best).mean() <= np.std(each - best, ddof=1) / np.sqrt(len(best))
    ]
    return min(good, key=lambda w: (round(w.bag, 6), means[w]))


def recalibrated_losses(network: SentenceNetwork, judge: Material, settings: Settings) -> Floats:
    """(J,) the loss of each response (or pair) after a logistic curve has mapped the aggregates.

    Priors pull all scores towards a half or so; that alone shall not speak against them.
    """
    belief = beliefs(log_odds(network, judge.bags), judge.bags, settings)
    right, wrong = (part.double().numpy() for part in belief)
    if judge.pairs is None:
        return logistic_losses(right - wrong, judge.bags.labels, offset=True)
    z = right[judge.pairs.second] - right[judge.pairs.first]
    return logistic_losses(z, judge.pairs.target, offset=False)


def logistic_losses(z: Floats, target: Floats, *, offset: bool) -> Floats:
    """(J,) cross-entropy of targets in [0, 1] under the logistic curve of z that fits them best."""
    if not 0 < target.sum() < len(target):
        return np.zeros(len(z))
    x = (z / (np.abs(z).max() or 1.0))[:, None]
    curve = LogisticRegression(C=1e4, fit_intercept=offset).fit(
        np.r_[x, x],
        np.r_[np.ones(len(z)), np.zeros(len(z))],
        sample_weight=np.r_[target, 1 - target],
    )
    p = curve.predict_log_proba(x)
    return -(target * p[:, 1] + (1 - target) * p[:, 0])


def fit(learn: Material, judge: Material, settings: Settings, weights: Weights, seed: int) -> Stage:
    """One network, as it was when the loss on `judge` was lowest."""
    torch_state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        return _fit(learn, judge, settings, weights, np.random.default_rng(seed))
    finally:
        torch.random.set_rng_state(torch_state)


def _fit(
    learn: Material,
    judge: Material,
    settings: Settings,
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
    learn: Material,
    numbers: Ints,
    settings: Settings,
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


def _preferred(belief: Belief, target: Tensor) -> Tensor:
    half = len(target)
    first = Belief(belief.log_right[:half], belief.log_wrong[:half])
    second = Belief(belief.log_right[half:], belief.log_wrong[half:])
    return preference_loss(first, second, target)


def log_odds(network: SentenceNetwork, bags: Bags) -> Tensor:
    """(M,) of all sentences."""
    with torch.no_grad():
        return torch.cat([network(rows) for rows in bags.inputs.split(SCORED_AT_ONCE)])


def beliefs(z: Tensor, bags: Bags, settings: Settings, at_once: int = 4096) -> Belief:
    """Aggregates of all responses from the log-odds (M,) of their sentences.

    In order of length, so that little is padded.
    """
    order = np.argsort(bags.sizes, kind="stable")
    found = torch.empty(len(bags), 2, dtype=z.dtype)
    for start in range(0, len(order), at_once):
        numbers = order[start : start + at_once]
        sizes = torch.from_numpy(bags.sizes[numbers])
        mask = torch.arange(int(sizes.max())).unsqueeze(0) < sizes.unsqueeze(1)
        padded = z.new_zeros(mask.shape)
        padded[mask] = z[torch.from_numpy(bags.rows_of(numbers))]
        belief = aggregate(padded, mask, settings.aggregate, settings.form)
        found[torch.from_numpy(numbers)] = torch.stack(belief, dim=1)
    return Belief(found[:, 0], found[:, 1])


def judged(network: SentenceNetwork, judge: Material, settings: Settings) -> float:
    """The loss on responses' labels or preferences alone, or on sentences' where they are given."""
    if judge.sentence_labels is not None:
        return _judged_by_sentences(network, judge, judge.sentence_labels)
    belief = beliefs(log_odds(network, judge.bags), judge.bags, settings)
    if judge.pairs is None:
        labels = torch.from_numpy(judge.bags.labels.astype(np.float32))
        return float(bag_loss(belief, labels, settings.bag_loss))
    first, second = (
        Belief(belief.log_right[side], belief.log_wrong[side])
        for side in (torch.from_numpy(judge.pairs.first), torch.from_numpy(judge.pairs.second))
    )
    target = torch.from_numpy(judge.pairs.target.astype(np.float32))
    return float(preference_loss(first, second, target))


def _judged_by_sentences(network: SentenceNetwork, judge: Material, labels: Floats) -> float:
    z = log_odds(network, judge.bags)
    whole = batch(judge.bags, np.arange(len(judge.bags)), labels)
    return float(sentence_loss(whole.padded(z), whole.mask, whole.sentence_labels))


def implied(network: SentenceNetwork, bags: Bags, kind: str) -> Floats:
    """(M,) the most probable labels of all sentences, given their responses' labels."""
    p = torch.sigmoid(log_odds(network, bags)).double().numpy()
    parts = np.split(p, bags.offsets[1:-1])
    found = [
        pseudo_labels(part, label, kind) for part, label in zip(parts, bags.labels, strict=True)
    ]
    return np.concatenate(found).astype(np.float64)
