"""What a fit came to, in a line, where it did not help or something else would have helped more."""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_calibration.fitting.best import difference, losses
from lm_eval_calibration.predictions import Predictions

LITTLE = 0.005
"""So near to 1 a temperature changes nothing that one would see."""


def helped(method: str, before: Predictions, held_out: Predictions) -> str | None:
    """That a map makes beliefs worse on documents it was not fitted on, or does not change them for sure.

    Args:
        method: that was fitted.
        before: the beliefs of N documents.
        held_out: the same, mapped by what was fitted on other folds.

    Returns:
        `None` where the loss is lower by more than one standard error of the paired difference.
    """
    if before.are_scores:
        return None
    mean, error = difference(losses(held_out), losses(before))
    if mean < -error:
        return None
    found = f"nll {mean:+.4f} ± {error:.4f} on documents that it was not fitted on"
    if mean > error:
        return (
            f"{method} makes these beliefs worse ({found}): leave them as they are, or give it more documents. "
            "`lm-calib fit best` tries every method."
        )
    return (
        f"{method} changes nothing that can be told from chance ({found}): the beliefs need no such map, or there "
        "are too few documents to tell."
    )


def rivalled(kept: str, held_out: Mapping[str, Predictions], before: Predictions) -> str | None:
    """That another method does better than the kept one, and how to keep it.

    Args:
        kept: the method that is saved.
        held_out: by method, the beliefs mapped by what was fitted on other folds.
        before: the beliefs as they are.
    """
    loss = {name: losses(p) for name, p in held_out.items()}
    best = min(loss, key=lambda name: float(loss[name].mean()))
    mean, error = difference(loss[kept], loss[best])
    if best == kept:
        return helped(kept, before, held_out[kept])
    worse = helped(kept, before, held_out[kept])
    sure = "for sure" if mean > 2 * error else "though not for sure"
    told = (
        f"{kept} is kept because it was asked for, or is the default; {best} has the lower nll, {sure} ({mean:.4f} ± "
        f"{error:.4f} less): --method {best} keeps that one."
    )
    return f"{told} {worse}" if worse else told


def learned_nothing(step: int, temperatures: Mapping[str, float], documents: int) -> str | None:
    """That a thermometer is one temperature of 1, and why; `None` where it learned something.

    Args:
        step: of the training at which it was best.
        temperatures: of its own tasks.
        documents: that it was trained on.
    """
    if step and any(abs(t - 1) > LITTLE for t in temperatures.values()):
        return None
    return (
        f"It learned nothing: no step of its training had a lower validation NLL than T = 1. Most likely {documents:,} "
        f"documents of {len(temperatures)} task(s) are too few, or the beliefs need no temperature. Give more tasks or "
        "documents, or fit a temperature on labelled documents of the task itself (`lm-calib fit temperature`)."
    )


def points(scales: Mapping[int, float]) -> str | None:
    """That the posterior of some members is a point; `None` where none is.

    Args:
        scales: by member, the chosen scale of the covariance.
    """
    flat = [str(member) for member, scale in scales.items() if scale == 0]
    if not flat:
        return None
    return (
        f"member {', '.join(flat)}: no spread of the weights has a lower validation NLL than their mean (SWA), so the "
        "posterior is a point: all draws are alike, and there are no rows of uncertainty. Most likely the snapshots "
        "differ in directions that hurt; train longer or at a lower --swag_learning_rate, or spread it all the same "
        "(--scale 0.5 here, scale=0.5 in --model swag)."
    )
