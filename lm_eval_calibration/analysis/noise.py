"""How far two runs of one model are apart, and what that does to each metric."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.requests import ARITHMETIC, FINGERPRINT
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.logs.formats.harness.line import options
from lm_eval_calibration.logs.formats.harness.lines import again
from lm_eval_calibration.logs.formats.harness.recorded import model_of
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import applicable, evaluate
from lm_eval_calibration.predictions import Floats


class MovedMetric(NamedTuple):
    """A metric of two runs, and half the 95 % interval of the first."""

    name: str
    first: float
    second: float
    half: float


@dataclass(frozen=True)
class Noise:
    """Two runs of one model on the same documents of a task.

    Attributes:
        task: its name.
        documents: how many.
        options: log-likelihoods that were compared.
        equal: how many of them are the same to the bit.
        typical: median of the absolute differences, in nats.
        usual: their 95 % quantile.
        largest: the largest.
        flipped: documents of which another option is predicted.
        metrics: what moved.
    """

    task: str
    documents: int
    options: int
    equal: int
    typical: float
    usual: float
    largest: float
    flipped: int
    metrics: tuple[MovedMetric, ...]


def noise_of(
    first: Run, second: Run, metrics: Sequence[str] | None = None, *, replicates: int = 1000
) -> list[Noise]:
    """Task by task.

    Args:
        first: a run.
        second: another of the same model, on the same documents in the same rows.
        metrics: names; by default those that tables show.
        replicates: of the bootstrap, for the intervals.

    Raises:
        InvalidInputError: documents of which the two logged other numbers of options.
    """
    return [
        _noise(task, samples, second.samples[task], metrics, replicates)
        for task, samples in first.samples.items()
    ]


def _noise(
    task: str, a: Samples, b: Samples, metrics: Sequence[str] | None, replicates: int
) -> Noise:
    gaps = np.concatenate([*_gaps(task, a, b), np.empty(0)])
    names = applicable(a.predictions, SUMMARY_METRICS if metrics is None else metrics)
    one = evaluate(a.predictions, names, replicates=replicates) if names else {}
    other = evaluate(b.predictions, names, replicates=0) if names else {}
    moved = (
        MovedMetric(n, one[n].value, other[n].value, (one[n].high - one[n].low) / 2) for n in names
    )
    flipped = int((_predicted(a) != _predicted(b)).sum())
    typical, usual, largest = np.quantile(gaps, [0.5, 0.95, 1.0]) if len(gaps) else [np.nan] * 3
    equal = int((gaps == 0).sum())
    return Noise(
        task,
        len(a),
        len(gaps),
        equal,
        float(typical),
        float(usual),
        float(largest),
        flipped,
        tuple(moved),
    )


def _predicted(samples: Samples) -> Any:
    predicted = samples.predictions.predicted
    return samples.predictions.confidence if predicted is None else predicted


def _gaps(task: str, a: Samples, b: Samples) -> Iterator[Floats]:
    """Absolute differences of each document's log-likelihoods; of two that are -inf none."""
    for n, (one, other) in enumerate(zip(loglikelihoods(a), loglikelihoods(b), strict=True)):
        if len(one) != len(other):
            raise InvalidInputError(
                f"{task}, document {n}: {len(one)} options in one run and {len(other)} in the other. Were both asked the "
                "same task?"
            )
        same = one == other
        yield np.where(same, 0.0, np.abs(np.where(same, 0.0, one) - np.where(same, 0.0, other)))


def loglikelihoods(samples: Samples) -> Iterator[Floats]:
    """(K,) of each document, as the run logged them; of other formats' the logarithms of its beliefs.

    Raises:
        InvalidInputError: the run logged none.
    """
    if len(samples.offset):
        for line in again(samples.path, samples.offset):
            yield np.array(options(line).loglikelihoods)
        return
    beliefs = samples.predictions.options
    if beliefs is None:
        raise InvalidInputError(f"{samples.path} holds no log-likelihoods of options.")
    stop = 0
    for count in beliefs.count:
        yield beliefs.values[stop : stop + count]
        stop += count


def promise(first: Run, second: Run) -> str | None:
    """The fingerprint under which two runs say to have the same bits; `None` if they do not."""
    found = []
    for run in (first, second):
        said = {str(_arithmetic(results).get(FINGERPRINT, "")) for results in run.results}
        found.append((said.pop() if len(said) == 1 else "", model_of(run.results)[1]))
    (one, weights), (other, others) = found
    return one if one and one == other and weights and weights == others else None


def promised(runs: Sequence[Run]) -> list[str]:
    """Of runs that say to have the bits of the first, whether they do."""
    first, *others = runs
    return [
        f"{first.label}, {other.label}: {kept_word(noise_of(first, other, [], replicates=0), fingerprint)}"
        for other in others
        if (fingerprint := promise(first, other))
    ]


def _arithmetic(results: Mapping[str, Any]) -> Mapping[str, Any]:
    config = results.get("config")
    said = config.get(ARITHMETIC) if isinstance(config, Mapping) else None
    return said if isinstance(said, Mapping) else {}


def kept_word(noises: Sequence[Noise], fingerprint: str) -> str:
    """Whether two runs that promise the same bits have them, in words."""
    total = sum(n.options for n in noises)
    other = total - sum(n.equal for n in noises)
    if not other:
        return f"Both runs are reproducible ({fingerprint}), and all {total:,} log-likelihoods are the same to the bit."
    return (
        f"BROKEN: both runs say that they are reproducible, with the same weights and arithmetic ({fingerprint}), and "
        f"{other:,} of {total:,} log-likelihoods differ, by up to {max(n.largest for n in noises):.2g} nats. Tell the authors "
        "of lm-eval-calibration, with both results files."
    )
