"""One row of details taken apart: options, their log-likelihoods, which is right, and the run's verdicts.

Rows have had three shapes: a column for each field, all as text (lighteval to 0.7); the same as values (to 0.10,
and the Open LLM Leaderboard); `doc`, `model_response` and `metric` (from 0.11).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.details.literal import value_of
from lm_eval_calibration.logs.formats.details.rows import NESTED, Row
from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
    shown,
)
from lm_eval_calibration.logs.formats.harness.line import ROUNDING

FIRST_PART = "len_mc1"
"""In `specifics`: of how many options TruthfulQA's mc1 has, which stand before those of mc2."""
MC1 = "truthfulqa_mc1"


class DetailRecord(NamedTuple):
    """What is kept of one document.

    scores: log-likelihoods of its options; texts: the options, () if the file has none; gold: which
    are right; verdict, verdict_norm: the run's own `acc` and `acc_norm`, `None` where not logged;
    prompt: what was asked; first_part: whether options of a second question were left out.
    """

    scores: list[float]
    texts: tuple[str, ...]
    gold: list[int]
    verdict: bool | None
    verdict_norm: bool | None
    prompt: str
    first_part: bool = False

    @property
    def doc_hash(self) -> int:
        """64 bits of prompt and options, by which runs are paired."""
        text = "\0".join((self.prompt, *self.texts))
        return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)


class _Fields(NamedTuple):
    predictions: Any
    choices: Any
    gold: Any
    metrics: Any
    specific: Any
    prompt: Any


@malformed_is_bad
def record_of(row: Row) -> DetailRecord:
    """A row as a document of multiple choice.

    Raises:
        OtherTypeError: answers were generated.
        BadLineError: it cannot be read.
    """
    fields = _nested(row) if all(name in row for name in NESTED) else _flat(row)
    scores = loglikelihoods(fields.predictions)
    texts = _texts(fields.choices)
    metrics = fields.metrics if isinstance(fields.metrics, Mapping) else {}
    if texts and len(scores) == 2 * len(texts):
        del scores[len(texts) :]  # the same options once more, without a question
    if texts and len(scores) != len(texts):
        raise BadLineError(f"{len(scores)} log-likelihoods of {len(texts)} options")
    first = _first_part(fields.specific, metrics, len(scores))
    scores, texts = scores[:first], texts[:first]
    if max(scores) == -math.inf:
        raise BadLineError("all options have log-likelihood -inf; no option can be preferred")
    return DetailRecord(
        scores,
        texts,
        [index for index in _gold(fields.gold, texts) if index < len(scores)],
        _verdict(metrics.get("acc", metrics.get(MC1, metrics.get("mc1")))),
        _verdict(metrics.get("acc_norm")),
        fields.prompt if isinstance(fields.prompt, str) else "",
        first is not None,
    )


def _nested(row: Row) -> _Fields:
    doc, response = row["doc"], row["model_response"]
    if not isinstance(doc, Mapping) or not isinstance(response, Mapping):
        raise BadLineError("`doc` or `model_response` is missing")
    predictions = response.get("logprobs") or response.get("text")
    gold, metric = doc.get("gold_index"), row["metric"]
    choices, query = doc.get("choices"), doc.get("query")
    return _Fields(predictions, choices, gold, metric, doc.get("specific"), query)


def _flat(row: Row) -> _Fields:
    gold = value_of(row.get("gold_index"))
    if gold is None or gold == []:
        gold = _text_or_value(row.get("gold"))
    metrics = value_of(row.get("metrics"))
    if not isinstance(metrics, Mapping):
        metrics = {name: row[name] for name in ("acc", "acc_norm") if name in row}
    return _Fields(
        predictions=value_of(row["predictions"]),
        choices=value_of(row.get("choices")),
        gold=gold,
        metrics=metrics,
        specific=value_of(row.get("specifics")),
        prompt=row.get("full_prompt") or row.get("example"),
    )


def _text_or_value(cell: Any) -> Any:
    try:
        return value_of(cell)
    except BadLineError:
        return cell


def loglikelihoods(predictions: Any) -> list[float]:
    """The options' log-likelihoods.

    Args:
        predictions: numbers, or (log-likelihood, whether it is the likeliest text) pairs.

    Raises:
        OtherTypeError: texts, or a single one.
        BadLineError: something else, or no logarithms of probabilities.
    """
    if not isinstance(predictions, Sequence) or isinstance(predictions, str) or not predictions:
        raise BadLineError(f"`predictions` are {shown(predictions)}, no log-likelihoods")
    if any(isinstance(each, str) for each in predictions):
        raise OtherTypeError("answers were generated; their log-probabilities are not in the file")
    scores = [_number(option, each) for option, each in enumerate(predictions)]
    if len(scores) < 2:
        raise OtherTypeError("there is a single log-likelihood, and nothing to choose between")
    if max(scores) == -math.inf:
        raise BadLineError("all options have log-likelihood -inf; no option can be preferred")
    return scores


def _number(option: int, logged: Any) -> float:
    pair = isinstance(logged, Sequence) and not isinstance(logged, str) and len(logged) == 2
    value = logged[0] if pair else logged
    which = f"the log-likelihood of option {option} (from 0)"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadLineError(f"{which} is {shown(logged)}, no number")
    if not value <= ROUNDING:
        raise BadLineError(f"{which} is {value}; it must be 0 or below")
    return float(value)


def _texts(choices: Any) -> tuple[str, ...]:
    if not isinstance(choices, Sequence) or isinstance(choices, str):
        return ()
    return tuple(choices) if all(isinstance(each, str) for each in choices) else ()


def _first_part(specific: Any, metrics: Mapping[str, Any], count: int) -> int | None:
    """Where the options of a document's first question end, if it has two."""
    first = specific.get(FIRST_PART) if isinstance(specific, Mapping) else None
    if not isinstance(first, int):
        if any(name in metrics for name in (MC1, "mc1")):
            raise OtherTypeError(
                "the options of TruthfulQA's mc1 and mc2 stand in one list, and the file does not "
                "say where those of mc2 begin"
            )
        return None
    if not 2 <= first <= count:
        raise BadLineError(f"`{FIRST_PART}` is {first}, of {count} options")
    return first


def _gold(logged: Any, texts: Sequence[str]) -> list[int]:
    """The right options by number, or by their texts; negative numbers are none."""
    several = isinstance(logged, Sequence) and not isinstance(logged, str)
    found = []
    for each in logged if several else [logged]:
        if isinstance(each, str):
            found += [i for i, text in enumerate(texts) if text.strip() == each.strip()][:1]
        elif isinstance(each, bool) or not isinstance(each, (int, float)) or each != int(each):
            raise BadLineError(f"the right option is {shown(logged)}, neither a number nor a text")
        else:
            found.append(int(each))
    if not found:
        raise BadLineError(f"the right option is {shown(logged)}, none of the options")
    return [index for index in found if index >= 0]


def _verdict(logged: Any) -> bool | None:
    return bool(logged) if isinstance(logged, (int, float)) and logged in (0, 1) else None
