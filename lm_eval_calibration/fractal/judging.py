"""What responses that were not trained on say of a network."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from lm_eval_calibration.fractal.aggregates import ResponseBelief, aggregate
from lm_eval_calibration.fractal.bags import BagMaterial, Bags, batch, mask_of, pad
from lm_eval_calibration.fractal.losses import Weights, bag_loss, preference_loss, sentence_loss
from lm_eval_calibration.fractal.network import SentenceNetwork
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.predictions import Floats

SCORED_AT_ONCE = 65_536


def log_odds(network: SentenceNetwork, bags: Bags) -> Tensor:
    """(M,) of all sentences."""
    with torch.no_grad():
        return torch.cat([network(rows) for rows in bags.inputs.split(SCORED_AT_ONCE)])


def beliefs(
    z: Tensor, bags: Bags, settings: FractalSettings, at_once: int = 4096
) -> ResponseBelief:
    """Aggregates of all responses from the log-odds (M,) of their sentences.

    In order of length, so that little is padded.
    """
    order = np.argsort(bags.sizes, kind="stable")
    found = torch.empty(len(bags), 2, dtype=z.dtype)
    for start in range(0, len(order), at_once):
        numbers = order[start : start + at_once]
        mask = mask_of(bags, numbers)
        padded = pad(z[torch.from_numpy(bags.rows_of(numbers))], mask)
        belief = aggregate(padded, mask, settings.aggregate, settings.form)
        found[torch.from_numpy(numbers)] = torch.stack(belief, dim=1)
    return ResponseBelief(found[:, 0], found[:, 1])


def judged(network: SentenceNetwork, judge: BagMaterial, settings: FractalSettings) -> float:
    """The loss on responses' labels or preferences alone, or on sentences' where they are given."""
    if judge.sentence_labels is not None:
        return _judged_by_sentences(network, judge, judge.sentence_labels)
    belief = beliefs(log_odds(network, judge.bags), judge.bags, settings)
    if judge.pairs is None:
        labels = torch.from_numpy(judge.bags.labels.astype(np.float32))
        return float(bag_loss(belief, labels, settings.bag_loss))
    first, second = (
        ResponseBelief(belief.log_right[side], belief.log_wrong[side])
        for side in (torch.from_numpy(judge.pairs.first), torch.from_numpy(judge.pairs.second))
    )
    target = torch.from_numpy(judge.pairs.target.astype(np.float32))
    return float(preference_loss(first, second, target))


def _judged_by_sentences(network: SentenceNetwork, judge: BagMaterial, labels: Floats) -> float:
    z = log_odds(network, judge.bags)
    whole = batch(judge.bags, np.arange(len(judge.bags)), labels)
    return float(sentence_loss(whole.padded(z), whole.mask, whole.sentence_labels))


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


def recalibrated_losses(
    network: SentenceNetwork, judge: BagMaterial, settings: FractalSettings
) -> Floats:
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
    fitted = curve.decision_function(x)
    return np.logaddexp(0, fitted) - target * fitted
