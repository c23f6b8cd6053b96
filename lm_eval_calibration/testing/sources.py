"""What every belief source obeys, see `models.shared.contract`."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.envelope import Envelope, is_envelope
from lm_eval_calibration.harness.api import handle_non_serializable
from lm_eval_calibration.harness.requests import GENERATE, KINDS, LOGLIKELIHOOD
from lm_eval_calibration.stated import StatedAnswer
from lm_eval_calibration.testing.laws import holds, law

SAME_NUMBER = 1e-4
"""Nats: rows of a batch are not computed alike in every batch."""
FLOORED = 0.01
"""By so much a stated distribution may miss 1: what was a printed 0 is floored."""


def check_belief_source(
    make: Callable[[], Any],
    requests: Sequence[Any],
    kind: str = LOGLIKELIHOOD,
    *,
    close: float = SAME_NUMBER,
) -> None:
    """Hold a model of the harness that says how sure it is to its contract.

    Args:
        make: makes it, anew each time; what it says must hang on no state between.
        requests: of the harness (`Instance`), of several documents: all of a task's, as
            `build_all_requests` leaves them in `task.instances`; of a twin, where `kind` is `generate_until`.
        kind: `loglikelihood` or `generate_until`.
        close: by so much numbers may differ between batches.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    holds(kind in (LOGLIKELIHOOD, GENERATE), f"`kind` must be {LOGLIKELIHOOD} or {GENERATE}")
    holds(len(requests) > 3, f"`requests` must be several, got {len(requests)}")
    source = make()
    _is_declared(source)
    answers = _answered(source, requests, kind)
    _are_answers(source, requests, answers, kind)
    _hang_on_requests_alone(make, requests, answers, kind, close)
    _are_distributions(requests, answers)
    _is_remembered(source)


@law
def _is_declared(source: Any) -> None:
    """A source declares what the harness must know of it, in the contract's words."""
    kind = type(source)
    holds(
        set(getattr(kind, "keeps", ())) <= set(KINDS),
        f"`keeps` must name kinds of requests: {KINDS}",
    )
    for name in ("states_confidence", "keeps_replies"):
        holds(isinstance(getattr(kind, name, False), bool), f"`{name}` must be true or false")


@law
def _answered(source: Any, requests: Sequence[Any], kind: str) -> list[Any]:
    """A source answers every request, and nothing where nothing is asked."""
    answers = list(getattr(source, kind)(list(requests)))
    holds(
        len(answers) == len(requests),
        f"{len(requests)} requests must have as many answers, got {len(answers)}",
    )
    holds(list(getattr(source, kind)([])) == [], "no requests must have no answers")
    return answers


@law
def _are_answers(source: Any, requests: Sequence[Any], answers: Sequence[Any], kind: str) -> None:
    """Answers are numbers with a truth value, or texts; of sources that state a confidence envelopes."""
    states = getattr(type(source), "states_confidence", False)
    for answer in answers:
        if kind == LOGLIKELIHOOD:
            value, greedy = float(answer[0]), answer[1]
            holds(value <= 0, f"a log-likelihood must not be NaN nor above 0, got {value}")
            holds(greedy in (True, False), f"beside it stands a truth value, got {greedy!r}")
        else:
            holds(isinstance(answer, str), f"a text must be a text, got {type(answer).__name__}")
    twins = kind == GENERATE and states and str(requests[0].task_name or "").startswith("calib_")
    for answer in answers if twins else ():
        holds(
            is_envelope(answer), "a twin's answer must be an envelope where a confidence is stated"
        )
        said = Envelope.from_text(answer)
        holds(
            said is not None and said.source == source.source,
            "an envelope must have the source's name",
        )


@law
def _hang_on_requests_alone(
    make: Callable[[], Any],
    requests: Sequence[Any],
    answers: Sequence[Any],
    kind: str,
    close: float,
) -> None:
    """Answers hang on the requests alone, not on their order nor on what was asked before."""
    order = random.Random(0).sample(range(len(requests)), len(requests))
    again = list(getattr(make(), kind)([requests[i] for i in order]))
    for place, answer in zip(order, again, strict=True):
        where = f"request {place} must have the same answer in another order"
        if kind == LOGLIKELIHOOD:
            apart = abs(float(answers[place][0]) - float(answer[0]))
            holds(
                apart <= close or answers[place][0] == answer[0],
                f"{where}, got {apart:g} nats apart",
            )
        else:
            holds(_same_text(str(answers[place]), str(answer), close), where)


def _same_text(one: str, other: str, close: float) -> bool:
    """Whether two answers say the same; of envelopes, and scores of sentences, the numbers about."""
    try:
        a, b = json.loads(one), json.loads(other)
    except ValueError:
        return one == other
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return bool(a == b)
    for name in ("scores", "confidence"):
        x, y = (np.array(found.pop(name, ()), dtype=float) for found in (a, b))
        if x.shape != y.shape or not np.allclose(x, y, atol=close, equal_nan=True):
            return False
    return bool(a == b)


@law
def _are_distributions(requests: Sequence[Any], answers: Sequence[Any]) -> None:
    """What is stated of options is a distribution over each document's, with one statement behind it."""
    documents: dict[tuple[Any, Any], list[StatedAnswer]] = {}
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, StatedAnswer):
            documents.setdefault((request.task_name, request.doc_id), []).append(answer)
    for (task, number), mine in documents.items():
        where = f"document {number} of {task}"
        total = sum(math.exp(answer[0]) for answer in mine)
        holds(abs(total - 1) <= FLOORED, f"{where}: probabilities must add up to 1, got {total:g}")
        holds(
            len({id(a.statement) for a in mine}) == 1, f"{where}: options must share one statement"
        )
        holds(
            sum(bool(a[1]) for a in mine) == 1, f"{where}: one option must be the most probable one"
        )
        json.dumps(mine[0].statement.as_logged(), allow_nan=False)


@law
def _is_remembered(source: Any) -> None:
    """What a run remembers of a source is JSON."""
    json.dumps(source.get_model_info(), default=handle_non_serializable)
