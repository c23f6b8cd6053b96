"""One logged line: what the harness wrote of one document, taken apart."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration import json_text
from lm_eval_calibration.logs.documents import document_hash
from lm_eval_calibration.logs.formats.harness.asked import requests_of, text_of
from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
    shown,
)
from lm_eval_calibration.metrics.families import PAIRS
from lm_eval_calibration.metrics.table import METRICS

_NUMBER = re.compile(r"-?\d{1,18}(\.0*)?")
_HASH = re.compile(r"[0-9a-fA-F]{16,}")
ROUNDING = 1e-3
"""What a log-likelihood may be above 0: sums of single-precision logarithms, and no more."""


@functools.cache
def _pair_metrics() -> tuple[str, ...]:
    """Metrics of confidences and verdicts."""
    return tuple(metric.name for metric in METRICS.usable() if metric.family is PAIRS)


class LoggedOptions(NamedTuple):
    """The scored options of one document.

    loglikelihoods: one per option; texts: the options, with the delimiter before them where they
    are continuations; in_context: whether the options stand in the context instead, before one
    common continuation (Winogrande); prompt: the text that they have in common; alone: the options as
    `acc_mutual_info` asks for them a second time, without a context, if it does.
    """

    loglikelihoods: list[float]
    texts: list[str]
    in_context: bool
    prompt: str
    alone: list[str] | None = None

    @property
    def continuations(self) -> list[str]:
        """What each log-likelihood is of."""
        return [self.prompt] * len(self.texts) if self.in_context else self.texts


class LoggedLine(dict[str, Any]):
    """A logged document that is to be read in many ways: its options are taken apart once."""

    options: LoggedOptions | BadLineError | None = None


def parse(line: bytes) -> dict[str, Any]:
    """The line as a dictionary, with the fields that every line must have.

    Raises:
        BadLineError: cut off, not JSON, not an object, or a field is missing.
    """
    try:
        sample = json_text.loads(line)
    except json_text.InvalidJSONError as error:
        if not line.endswith(b"\n"):
            raise BadLineError(
                "the line is cut off, as when a run is stopped while it writes; evaluate again, "
                "or leave the line out"
            ) from None
        raise BadLineError(f"{error}; the harness logs one JSON object a line") from None
    if isinstance(sample, list):
        raise BadLineError(
            "a JSON list among lines; one that is the whole file is read, as releases before 0.4.3 wrote it"
        )
    if not isinstance(sample, dict):
        raise BadLineError(f"a JSON {type(sample).__name__}, not a logged document")
    for field in ("doc_id", "target", "filtered_resps"):
        if field not in sample:
            raise BadLineError(f"no field `{field}`, which `lm_eval --log_samples` writes")
    number = sample["doc_id"]
    if not isinstance(number, int) or isinstance(number, bool) or abs(number) >= 2**63:
        raise BadLineError(f"`doc_id` must be a whole number, got {shown(number)}")
    if not isinstance(sample.get("filter"), str | None):
        raise BadLineError(f"`filter` must be a name, got {shown(sample['filter'])}")
    return sample


def asks_options(sample: Mapping[str, Any]) -> bool:
    """Whether the log-likelihoods of options were asked for, whatever was logged of them."""
    try:
        texts = [text for _, text in requests_of(sample)]
    except BadLineError:
        return False
    responses = sample.get("filtered_resps")
    texts_back = isinstance(responses, list) and any(isinstance(r, str) for r in responses)
    generated = texts_back and len(responses or ()) != len(texts)
    return not generated and len(texts) > 1 and all(isinstance(text, str) for text in texts)


def options(sample: Mapping[str, Any]) -> LoggedOptions:
    """The options of a multiple-choice document and their log-likelihoods.

    Raises:
        BadLineError: the responses are no log-likelihoods, or do not match the logged requests.
    """
    if not isinstance(sample, LoggedLine):
        return _options(sample)
    if sample.options is None:
        try:
            sample.options = _options(sample)
        except BadLineError as error:
            sample.options = error
    if isinstance(sample.options, BadLineError):
        raise sample.options
    return sample.options


@malformed_is_bad
def _options(sample: Mapping[str, Any]) -> LoggedOptions:
    loglikelihoods = _loglikelihoods(sample["filtered_resps"])
    requests = requests_of(sample)
    if len(requests) != len(loglikelihoods) or not requests:
        raise BadLineError(
            f"{len(loglikelihoods)} responses to {len(requests)} requests; every option must "
            "have one"
        )
    contexts = [text_of(request[0]) for request in requests]
    continuations = [request[1] for request in requests]
    if not all(isinstance(text, str) for text in continuations):
        raise BadLineError("`arguments` holds an option that is no text")
    half, alone = len(requests) // 2, None
    if _asked_twice(sample, contexts, continuations):
        alone = continuations[half:]
        del loglikelihoods[half:], contexts[half:], continuations[half:]
    in_context = len(set(contexts)) > 1 and len(set(continuations)) == 1
    if in_context:
        return LoggedOptions(loglikelihoods, contexts, True, continuations[0], alone)
    return LoggedOptions(loglikelihoods, continuations, False, contexts[0], alone)


def _asked_twice(
    sample: Mapping[str, Any], contexts: Sequence[str], continuations: Sequence[str]
) -> bool:
    """Whether each option was asked for a second time, without a context, for `acc_mutual_info`.

    Options without a prompt look alike: there the metric itself must stand in the line.
    """
    half, odd = divmod(len(contexts), 2)
    if odd or not half or any(contexts[half:]):
        return False
    if not any(contexts[:half]) and "acc_mutual_info" not in sample:
        return False
    first, second = continuations[:half], continuations[half:]
    return first == second or (len(set(first)) == 1 and len(set(contexts[:half])) > 1)


def _loglikelihoods(responses: Any) -> list[float]:
    """The log-likelihoods of responses that were logged as `["-3.4", "False"]`, by 0.5 in a list of one."""
    if isinstance(responses, list) and all(_is_one(response) for response in responses):
        responses = [response[0] for response in responses]
    if not isinstance(responses, list) or not all(
        isinstance(response, list) and len(response) == 2 for response in responses
    ):
        raise OtherTypeError(
            f"the responses {shown(responses)} are no (log-likelihood, is_greedy) pairs, so this is "
            "no multiple-choice document; score tasks whose `output_type` is multiple_choice"
        )
    values = [_loglikelihood(option, value) for option, (value, _) in enumerate(responses)]
    if values and max(values) == -math.inf:
        raise BadLineError("all options have log-likelihood -inf; no option can be preferred")
    return values


def _is_one(response: Any) -> bool:
    """Whether a response is the list of a request's repeats, of which there is one."""
    return isinstance(response, list) and len(response) == 1 and isinstance(response[0], list)


def _loglikelihood(option: int, logged: Any) -> float:
    """One option's, a logarithm of a probability."""
    try:
        value = None if isinstance(logged, bool) else float(logged)
    except (TypeError, ValueError, OverflowError):
        value = None
    if value is not None and value <= ROUNDING:  # which NaN is not
        return value
    which = f"the log-likelihood of option {option} (from 0)"
    if value is None:
        raise BadLineError(f"{which}, in `filtered_resps`, is {shown(logged)}, no number")
    if math.isfinite(value):
        raise BadLineError(
            f"{which}, in `filtered_resps`, is {value}; no logarithm of a probability is above 0"
        )
    raise BadLineError(
        f"{which} is {value}; look for what made the model overflow, and evaluate again"
    )


def target_indices(target: Any) -> list[int] | None:
    """The right options that a logged target names by number; `None` if it names none so.

    >>> target_indices("2"), target_indices("[0, 2]"), target_indices("Paris")
    ([2], [0, 2], None)
    """
    if isinstance(target, str):
        text = target.strip()
        if not text.startswith("[") or not text.endswith("]"):
            index = _index(text)
            return None if index is None else [index]
        values = [part.strip() for part in text[1:-1].split(",")] if text[1:-1].strip() else []
    else:
        values = target if isinstance(target, list) else [target]
        if any(isinstance(value, str) for value in values):
            return None
    found = [_index(value) for value in values]
    return None if None in found else [index for index in found if index is not None]


def _index(value: Any) -> int | None:
    """A whole number that was logged as one, as text, or as true or false."""
    if isinstance(value, str):
        if value in ("True", "False"):
            return int(value == "True")
        return int(value.partition(".")[0]) if _NUMBER.fullmatch(value) else None
    whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return int(value) if whole else None


def verdict(sample: Mapping[str, Any], metric: str) -> bool | None:
    """Whether the run counted the document as right by `acc`, `acc_norm`..., if it says so."""
    value = sample.get(metric)
    return bool(value) if value in (0, 1) else None


def states_score(sample: Mapping[str, Any]) -> bool:
    """Whether the model stated a score of any size for its answer, and no probability."""
    envelope = sample.get("envelopes")
    return isinstance(envelope, Mapping) and envelope.get("score") is not None


def pair(
    sample: Mapping[str, Any], suffix: str = "", score: bool = False
) -> tuple[float, bool] | None:
    """The (confidence, correct) pair that a twin logs, plain or by a normalisation, if this line has one.

    With `score` the first is a score of any size.
    """
    for name in _pair_metrics():
        value = sample.get(name + suffix)
        if isinstance(value, list) and len(value) == 2:
            return _pair(name, value[0], value[1], score)
    return None


def _pair(name: str, confidence: Any, correct: Any, score: bool) -> tuple[float, bool]:
    known = isinstance(confidence, (int, float)) and not isinstance(confidence, bool)
    if score and not (known and math.isfinite(confidence)):
        raise BadLineError(f"`{name}` must hold a finite score, got {shown(confidence)}")
    if not known or not (score or 0 <= confidence <= 1):
        raise BadLineError(
            f"`{name}` must hold a confidence from 0 to 1, got {shown(confidence)}; evaluate again"
        )
    if not isinstance(correct, (int, float)) or correct not in (0, 1):
        raise BadLineError(f"`{name}` must hold a verdict of 0 or 1, got {shown(correct)}")
    return float(confidence), bool(correct)


@malformed_is_bad
def doc_hash(sample: Mapping[str, Any]) -> int:
    """The first 64 bits of the document's hash, made as the harness makes it where it is absent."""
    logged = sample.get("doc_hash")
    if not isinstance(logged, str) or len(logged) < 16:
        return document_hash(sample.get("doc"))
    if not _HASH.match(logged):
        raise BadLineError(f"`doc_hash` must be hexadecimal, got {shown(logged)}")
    return int(logged[:16], 16)
