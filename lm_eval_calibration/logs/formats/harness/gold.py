"""Where a line says which options are right: one reader for each place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, shown
from lm_eval_calibration.logs.formats.harness.line import (
    LoggedOptions,
    pair,
    target_indices,
    verdict,
)
from lm_eval_calibration.normalisation import NORMALISATIONS, PLAIN
from lm_eval_calibration.predictions import Predictions

Sample = Mapping[str, Any]
BY_VERDICT = "verdict"
NLL = "nll"


def logged_pair(sample: Sample, suffix: str = PLAIN) -> tuple[float, bool] | None:
    """A twin's (confidence, correct) of a line that has options; `None` where it is absent or damaged."""
    try:
        return pair(sample, suffix)
    except BadLineError:
        return None


def _by_index(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """The target is an option's number, or a list of them; numbers beyond the options are none."""
    indices = target_indices(sample["target"])
    if indices is None:
        raise BadLineError(f"the target {shown(sample['target'])} is no option's number")
    return indices


def _by_text(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """The target is an option's text; any other text is no option."""
    target = sample["target"]
    if not isinstance(target, str):
        raise BadLineError(f"the target {shown(target)} is no option's text")
    return [texts.index(target)] if target in texts else []


def _by_template(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """As the harness reads what a template gives: a number, or a list of them, is no text."""
    target = str(sample["target"])
    number = target.isdigit() or (target[:1] == "[" and target_indices(target) is not None)
    return (_by_index if number else _by_text)(sample, found, texts)


def _by_labels(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """TruthfulQA's mc2: the document labels each of its options true or false."""
    try:
        labels = sample["doc"]["mc2_targets"]["labels"]
    except (KeyError, TypeError):
        labels = ()
    if len(labels) != len(texts):
        raise BadLineError("the document has no label for each option in `mc2_targets`")
    return [i for i, label in enumerate(labels) if label == 1]


def _by_verdict(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """The run's `acc` alone: a right answer is gold, and of two options the other one otherwise."""
    right = verdict(sample, "acc")
    if right is None:
        raise BadLineError(
            f"the target {shown(sample['target'])} is neither an option's number nor its text, and the "
            "run logged no `acc` of 0 or 1: which option is right is not known"
        )
    best = found.loglikelihoods.index(max(found.loglikelihoods))
    if right:
        return [best]
    return [1 - best] if len(texts) == 2 else []


def _by_nll(sample: Sample, found: LoggedOptions, texts: Sequence[str]) -> list[int]:
    """A twin logs the right option's negative log-probability: the options that have it, one of them right."""
    nll = sample.get("nll", "")
    if nll is None:
        return []  # the answer key names no option
    if not isinstance(nll, float):
        raise BadLineError(
            "the options stand in the context, and neither `nll` nor `acc` nor a results file beside the log "
            "tells which of them is right; keep the results file of the run beside its samples"
        )
    nearest = _nearest(found.loglikelihoods, nll)
    best = found.loglikelihoods.index(max(found.loglikelihoods))
    logged = logged_pair(sample)
    fitting = [i for i in nearest if logged is None or (i == best) is logged[1]]
    return fitting or nearest


def _nearest(scores: Sequence[float], nll: float) -> list[int]:
    """The options whose negative log-probability is nearest to one that was logged."""
    p = Predictions.from_options([scores], [[]])
    surprise = (-np.asarray(p.log_probabilities)[0]).tolist()
    distances = [abs(s - nll) if s != nll else 0.0 for s in surprise]
    return [i for i, distance in enumerate(distances) if distance == min(distances)]


def fits_by_length(
    sample: Sample, scores: list[float], lengths: Mapping[str, list[int]], option: int
) -> bool:
    """Whether what is said by length is that of a document whose one right option this is."""
    for suffix, of in lengths.items():
        by_length = length_normalised(scores, of)
        right, nll = verdict(sample, NORMALISATIONS[suffix].verdict), sample.get("nll" + suffix)
        if right is not None and (int(by_length.argmax()) == option) is not right:
            return False
        if isinstance(nll, float) and option not in _nearest(by_length.tolist(), nll):
            return False
    return True


GOLD_READERS: dict[str, Callable[[Sample, LoggedOptions, Sequence[str]], list[int]]] = {
    "index": _by_index,
    "text": _by_text,
    "template": _by_template,
    "labels": _by_labels,
    NLL: _by_nll,
    BY_VERDICT: _by_verdict,
}
