"""How a response's label follows from its sentences', as functions that can be trained through.

Each takes the log-odds z (B, n) of n sentences being right and a mask (B, n) of those that there
are, and gives the logarithms of the aggregate and of its complement, so that a sure aggregate
costs neither a digit nor a gradient. With p = sigmoid(z):

* `min`: a response is right if every sentence is. `hard` min p_i (the paper's), `soft`
  sum p_i w_i with w = softmax(-p / TAU), `product` prod p_i (exact if sentences are independent),
  `power` the generalised mean (mean p_i^R)^(1/R) with R below 0.
* `max`: if any is; 1 - min(1 - p) in each form.
* `avg`: the mean of p.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from lm_eval_calibration.errors import invalid

TAU = 0.1
R = -8.0
AGGREGATES = ("min", "max", "avg")


class ResponseBelief(NamedTuple):
    """Of B responses.

    log_right: (B,) log of the probability that the label is 1.
    log_wrong: (B,) of that it is 0.
    """

    log_right: Tensor
    log_wrong: Tensor


def _hard(z: Tensor, mask: Tensor) -> ResponseBelief:
    least = z.masked_fill(~mask, math.inf).amin(dim=1)
    return ResponseBelief(logsigmoid(least), logsigmoid(-least))


def _soft(z: Tensor, mask: Tensor) -> ResponseBelief:
    weights = torch.log_softmax((-torch.sigmoid(z) / TAU).masked_fill(~mask, -math.inf), dim=1)
    return ResponseBelief(
        _mixed(logsigmoid(z), weights, mask), _mixed(logsigmoid(-z), weights, mask)
    )


def _product(z: Tensor, mask: Tensor) -> ResponseBelief:
    total = logsigmoid(z).masked_fill(~mask, 0.0).sum(dim=1)
    return ResponseBelief(total, _log_complement(total))


def _power(z: Tensor, mask: Tensor) -> ResponseBelief:
    count = mask.sum(dim=1).to(z.dtype).log()
    powers = (R * logsigmoid(z)).masked_fill(~mask, -math.inf)
    found = (torch.logsumexp(powers, dim=1) - count) / R
    return ResponseBelief(found, _log_complement(found))


def _mean(z: Tensor, mask: Tensor) -> ResponseBelief:
    weights = -mask.sum(dim=1, keepdim=True).to(z.dtype).log().expand_as(z)
    return ResponseBelief(
        _mixed(logsigmoid(z), weights, mask), _mixed(logsigmoid(-z), weights, mask)
    )


FORMS: dict[str, Callable[[Tensor, Tensor], ResponseBelief]] = {
    "hard": _hard,
    "soft": _soft,
    "product": _product,
    "power": _power,
}
"""Of `min`, and by duality of `max`."""


def aggregate(z: Tensor, mask: Tensor, kind: str = "min", form: str = "hard") -> ResponseBelief:
    """What sentences say of their responses.

    Args:
        z: (B, n) log-odds of sentences.
        mask: (B, n) which of the n are sentences; at least one in each row.
        kind: see `AGGREGATES`.
        form: see `FORMS`; `avg` has one form.

    Raises:
        InvalidInputError: an unknown kind or form, or a response without sentences.

    >>> z = torch.tensor([[0.0, 2.0]])
    >>> float(aggregate(z, torch.tensor([[True, True]]), "max", "product").log_right.exp())
    0.940398...
    """
    if kind not in AGGREGATES:
        raise invalid("aggregate", ", ".join(AGGREGATES), f"`{kind}`")
    if form not in FORMS:
        raise invalid("form", ", ".join(FORMS), f"`{form}`")
    if not bool(mask.any(dim=1).all()):
        raise invalid("mask", "at least one sentence in each response", "a response without any")
    if kind == "avg":
        return _mean(z, mask)
    if kind == "min":
        return FORMS[form](z, mask)
    dual = FORMS[form](-z, mask)
    return ResponseBelief(dual.log_wrong, dual.log_right)


def _mixed(log_p: Tensor, log_weights: Tensor, mask: Tensor) -> Tensor:
    return torch.logsumexp((log_p + log_weights).masked_fill(~mask, -math.inf), dim=1)


def _log_complement(log_p: Tensor) -> Tensor:
    """log(1 - e^x) of x below 0, exact at both ends (Maechler, 2012); x of 0 counts as the next below."""
    x = log_p.clamp(max=-(torch.finfo(log_p.dtype).tiny ** 0.5))
    small = x > -math.log(2.0)
    near = torch.log(-torch.expm1(torch.where(small, x, torch.full_like(x, -1.0))))
    far = torch.log1p(-torch.exp(torch.where(small, torch.full_like(x, -1.0), x)))
    return torch.where(small, near, far)
