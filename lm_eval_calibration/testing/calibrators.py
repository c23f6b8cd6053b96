"""What every recalibrator obeys."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.calibrators import METHODS, Calibrator, Training, fit
from lm_eval_calibration.calibrators.contract import Method, labelled
from lm_eval_calibration.calibrators.methods import what_is_wrong
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.laws import can_be_named, holds, law
from lm_eval_calibration.testing.maps import finds_numbers, maps_beliefs_alone

CASES = 25
LOGITS = (-math.inf, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 3.0, 800.0)
SAME_FIT = 2e-3
"""So far two fits of the same documents in another order may be apart."""
SPOILT: tuple[Callable[[Any], Any], ...] = (
    lambda value: np.full_like(value, np.nan),
    lambda value: np.full_like(value, np.inf),
    lambda value: value[None],
    lambda value: np.zeros(0),
    lambda value: np.asarray(value).astype(np.int64),
)


def check_calibrator(method: Method, *, helps: bool = True, cases: int = CASES) -> None:
    """Hold a recalibrator to its contract.

    Args:
        method: as in `calibrators.contract`.
        helps: whether it mends an over-confident model; false for one that is there to compare with.
        cases: sets of documents that are drawn: ragged options, ties, certainties, probabilities 0.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    is_a_member(method)
    with METHODS.added(method):
        finds_numbers(method, labelled(overconfident(60)))
        for seed in range(cases):
            drawn = any_documents(np.random.default_rng(seed))
            maps_beliefs_alone(method, drawn)
            distributions(method, drawn)
            predictions_stay(method, drawn)
            order_is_nothing(method, drawn, np.random.default_rng(seed))
            is_read_back(method, drawn)
        confidences_alone(method)
        refuses_what_no_fit_finds(method)
        heeds_weights(method)
        if helps:
            mends(method)


@law
def is_a_member(method: Any) -> None:
    """It must be a `Method` that can be named, and says what it is."""
    can_be_named(method, what_is_wrong(method), METHODS)


def any_documents(rng: np.random.Generator) -> Predictions:
    """A few documents with 2 to 5 options, whose logits may be anything."""
    rows = []
    for _ in range(int(rng.integers(3, 16))):
        row = rng.choice(LOGITS, int(rng.integers(2, 6))).tolist()
        rows.append(row if max(row) > -math.inf else [0.0, *row[1:]])
    return Predictions.from_options(rows, [int(rng.integers(len(row))) for row in rows])


def overconfident(
    count: int, temperature: float = 3.0, options: int = 4, seed: int = 0
) -> Predictions:
    """Documents of a model that is calibrated once its logits are divided by `temperature`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (count, options))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    gold = (rng.uniform(size=(count, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=options - 1)
    return Predictions.from_options(z * temperature, gold.tolist())


@law
def distributions(method: Method, before: Predictions) -> None:
    """What it gives are distributions over the same options, with the same right ones."""
    assert before.num_options is not None
    after = fit(method.name, before).transform(before)
    p = after.probabilities
    if p is None or after.num_options is None or after.gold is None or before.gold is None:
        raise AssertionError("mapped options must stay options")
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9, err_msg="probabilities must sum to 1")
    holds(np.array_equal(after.num_options, before.num_options), "options must stay as many")
    holds(np.array_equal(after.gold, before.gold), "what is right must stay")
    beyond = np.arange(p.shape[1]) >= after.num_options[:, None]
    holds((p[beyond] == 0).all(), "what is no option must have probability 0")


@law
def predictions_stay(method: Method, before: Predictions) -> None:
    """Where `keeps_order` is said, what is predicted stays, in the scores given to the harness too."""
    if not method.keeps_order:
        return
    assert before.options is not None and before.num_options is not None
    assert before.predicted is not None
    calibrator = fit(method.name, before)
    after = calibrator.transform(before)
    assert after.predicted is not None
    holds(np.array_equal(after.predicted, before.predicted), "`keeps_order`: predictions must stay")
    holds(np.array_equal(after.correct, before.correct), "`keeps_order`: verdicts must stay")
    ends = before.num_options.cumsum()
    rows = np.split(before.options.values, ends[:-1])
    for row, choice in zip(rows, before.predicted, strict=True):
        scores = calibrator.option_scores(row[None], np.array([len(row)]))
        holds(
            int(np.argmax(scores[0])) == choice, "`keeps_order`: the first largest must stay first"
        )


@law
def order_is_nothing(method: Method, drawn: Predictions, rng: np.random.Generator) -> None:
    """The fit is the same whatever order the documents come in."""
    shuffled = drawn.take(rng.permutation(len(drawn)))
    target = overconfident(20, 1.0, options=2)
    a, b = (fit(method.name, p).transform(target).confidence for p in (drawn, shuffled))
    np.testing.assert_allclose(
        a, b, atol=SAME_FIT, err_msg="the order of documents must not matter"
    )


@law
def is_read_back(method: Method, drawn: Predictions) -> None:
    """What a fit finds is kept and loaded to the bit, with what it was fitted on."""
    training = Training({"toy": len(drawn)}, np.arange(len(drawn), dtype=np.uint64), "a model")
    found = fit(method.name, drawn, training)
    with tempfile.TemporaryDirectory() as folder:
        found.save_pretrained(Path(folder) / "kept")
        again = Calibrator.from_pretrained(Path(folder) / "kept")
    holds(again.method == method.name, "the method's name must be kept")
    holds(again.training.tasks == training.tasks, "what it was fitted on must be kept")
    a, b = found.parameters[""], again.parameters[""]
    holds(
        a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a),
        "parameters must be arrays of float64, and come back as they were",
    )


@law
def confidences_alone(method: Method) -> None:
    """Of confidences alone it makes confidences, or says that it needs options."""
    rng = np.random.default_rng(0)
    c = rng.uniform(0.3, 1, 2000)
    before = Predictions.from_confidences(c, rng.uniform(size=2000) < c**3)
    try:
        after = fit(method.name, before).transform(before)
    except InvalidInputError as error:
        holds("options" in str(error), "the error must say that options are needed")
        return
    holds(after.log_probabilities is None, "confidences must stay confidences")
    holds(((after.confidence >= 0) & (after.confidence <= 1)).all(), "they must be in [0, 1]")
    holds(np.array_equal(after.correct, before.correct), "verdicts must stay")


@law
def heeds_weights(method: Method) -> None:
    """Where `weighted` is said, whole weights are repetitions."""
    if not method.weighted:
        return
    before = overconfident(200)
    times = np.random.default_rng(0).integers(0, 4, size=len(before))
    weighted = fit(method.name, before, sample_weight=times)
    repeated = fit(method.name, before.take(np.repeat(np.arange(len(before)), times)))
    a, b = (found.transform(before).confidence for found in (weighted, repeated))
    np.testing.assert_allclose(
        a, b, atol=SAME_FIT, err_msg="`weighted`: weights must be repetitions"
    )


@law
def refuses_what_no_fit_finds(method: Method) -> None:
    """`check` refuses parameters of other names, types and shapes, and NaN and infinity."""
    found = fit(method.name, overconfident(60)).parameters[""]
    method.check(found)
    for wrong in _wrong(found):
        try:
            Calibrator.restore({"method": method.name}, wrong, Training())
        except InvalidInputError:
            continue
        raise AssertionError(f"`check` must refuse {wrong}")


def _wrong(found: dict[str, Any]) -> Iterator[dict[str, Any]]:
    whole = {f":{name}": value for name, value in found.items()}
    for key, value in whole.items():
        yield {k: v for k, v in whole.items() if k != key}
        yield {**whole, f"{key}2": value}
        yield from ({**whole, key: spoil(value)} for spoil in SPOILT)


@law
def mends(method: Method) -> None:
    """An over-confident model is mended on documents that were not fitted on, by NLL and ECE."""
    before = overconfident(4000, seed=1)
    after = fit(method.name, overconfident(4000)).transform(before)
    was, now = (evaluate(p, ["nll", "ece"], replicates=0) for p in (before, after))
    holds(now["nll"].value < was["nll"].value, f"NLL must fall, got {was['nll']} to {now['nll']}")
    holds(now["ece"].value < was["ece"].value, f"ECE must fall, got {was['ece']} to {now['ece']}")
