"""The readings of a file that are worth trying, by what a results file tells or by what the lines look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import TypeVar

from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.gold import BY_VERDICT, NLL, Sample, logged_pair
from lm_eval_calibration.logs.formats.harness.line import (
    LoggedOptions,
    asks_options,
    options,
    states_score,
    target_indices,
    verdict,
)
from lm_eval_calibration.logs.formats.harness.reading import (
    PAIRS_ONLY,
    SCORES_ONLY,
    STATED,
    TOLD,
    LineReading,
)
from lm_eval_calibration.logs.formats.harness.tally import MAY_LIE
from lm_eval_calibration.logs.formats.harness.told import ToldByLog
from lm_eval_calibration.normalisation import NORMALISATIONS

MC2 = "process_results_mc2"
"""The scoring function of TruthfulQA's kind, whose answer key is the documents' labels."""
MARKED = 6
"""Delimiters tried that end in a mark, such as a colon, and not in white space."""
T = TypeVar("T")


def keyed(samples: Sequence[Sample], told: ToldByLog) -> Iterator[list[LineReading]]:
    """The readings by an answer key: those that are told, then all that may be, then a twin's own."""
    found = _mostly_found(samples)
    if not found:
        return
    delimiters, norms = _delimiters(found, told), _norms(found)
    for_texts = _for_texts(found, delimiters, told)
    golds = _golds(found, for_texts)
    own = bool(told.own_scoring) and any(logged_pair(sample) is not None for sample, _ in found)
    if told_golds := _told_golds(found, told):
        yield _crossed(told_golds, delimiters, norms, told, own)
    yield _crossed(golds, delimiters, norms, told, own, for_texts)
    if not own and _mostly(found, lambda line: logged_pair(line[0]) is not None):
        yield _crossed([*told_golds, *golds], delimiters, norms, told, True, for_texts)


def last(samples: Sequence[Sample], told: ToldByLog, by_key: Sequence[object]) -> list[LineReading]:
    """The readings without an answer key."""
    if not by_key:
        stated = any(isinstance(sample.get(STATED), Mapping) for sample in samples)
        pairs = LineReading(SCORES_ONLY if any(map(states_score, samples)) else PAIRS_ONLY)
        return [*([LineReading(STATED)] if stated else []), pairs]
    found = _mostly_found(samples)
    by_verdict = _crossed([BY_VERDICT], _delimiters(found, told)[:1], (), told, False)
    return [*by_verdict, LineReading(PAIRS_ONLY)]


def _crossed(
    golds: Sequence[str],
    delimiters: Sequence[str],
    norms: tuple[str, ...],
    told: ToldByLog,
    own: bool,
    for_texts: Sequence[str] = (),
) -> list[LineReading]:
    return [
        LineReading(gold, delimiter, n, told, own)
        for gold in golds
        for n in ([norms, ()] if norms else [()])
        for delimiter in delimiters
        if gold not in ("text", "template") or delimiter in for_texts
    ]


def _mostly_found(samples: Sequence[Sample]) -> list[tuple[Sample, LoggedOptions]]:
    """The lines with options, if these are most of them."""
    found = [(sample, o) for sample in samples if (o := options_if_any(sample))]
    most = 2 * len(found) >= len(samples) or _mostly(samples, asks_options)
    return found if most else []


def _norms(found: Sequence[tuple[Sample, LoggedOptions]]) -> tuple[str, ...]:
    """The normalisations whose verdicts most lines say."""
    return tuple(
        suffix
        for suffix, kind in NORMALISATIONS.items()
        if _mostly(found, lambda line, of=kind.verdict: verdict(line[0], of) is not None)  # type: ignore[misc]
    )


def _told_golds(found: Sequence[tuple[Sample, LoggedOptions]], told: ToldByLog) -> list[str]:
    """Where the results file says the right option is."""
    if MC2 in told.own_scoring:
        return ["labels"]
    key = told.key(_mostly(found, lambda line: line[1].in_context))
    return [] if key is None else [TOLD]


def options_if_any(sample: Sample) -> LoggedOptions | None:
    """The options of a line; `None` if it has none that can be read."""
    try:
        return options(sample)
    except BadLineError:
        return None


def _mostly(lines: Sequence[T], holds: Callable[[T], bool]) -> bool:
    """Whether something holds of at least half of the lines."""
    return 2 * sum(map(holds, lines)) >= len(lines)


def _delimiters(found: Sequence[tuple[Sample, LoggedOptions]], told: ToldByLog) -> list[str]:
    """What may stand before options: by the results file if it fits, else what they all begin with.

    Of that the white space, then more that ends in a mark; and its beginnings.
    """
    texts = [t for _, o in found if (t := o.alone if o.in_context else o.texts) is not None]
    if not texts:
        return [""]
    fitting = [
        d
        for d in told.delimiters
        if _mostly(texts, lambda some, d=d: all(t.startswith(d) for t in some))  # type: ignore[misc]
    ]
    if fitting:
        return fitting
    shared = [_shared(some) for some in texts]
    blank = Counter(text[: len(text) - len(text.lstrip())] for text in shared).most_common(1)[0][0]
    common = _shared(shared)
    spaces = [blank[:end] for end in range(len(blank), -1, -1)]
    marked = [common[:end] for end in range(1, len(common) + 1) if not common[end - 1].isalnum()]
    return [*spaces, *[text for text in marked if text not in spaces][:MARKED]]


def _shared(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)  # what these two share, all share
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return "".join(a for a, _ in shared)


def _for_texts(
    found: Sequence[tuple[Sample, LoggedOptions]], delimiters: Sequence[str], told: ToldByLog
) -> Sequence[str]:
    """The delimiters by which a target may be an option's text: white space, if numbers do as well."""
    blank = [d for d in delimiters if d in told.delimiters or not d.strip()]
    numbers = sum(_is_number(sample["target"]) for sample, _ in found) >= (1 - MAY_LIE) * len(found)
    return blank if numbers or any(_are_texts(found, blank)) else delimiters


def _is_number(target: object) -> bool:
    """Whether a target is written as the harness writes an index, or a list of them."""
    return target_indices(target) is not None and str(target) == str(target).strip()


def _are_texts(
    found: Sequence[tuple[Sample, LoggedOptions]], delimiters: Sequence[str]
) -> list[bool]:
    """Of each line, whether its target is an option's text."""
    return [
        any(sample["target"] in [t.removeprefix(d) for t in o.texts] for d in delimiters)
        for sample, o in found
    ]


def _golds(found: Sequence[tuple[Sample, LoggedOptions]], delimiters: Sequence[str]) -> list[str]:
    """Where the right option may be found: by its text first, if most targets are options."""
    if _mostly(found, lambda line: line[1].in_context):
        return [NLL]
    are_texts = _are_texts(found, delimiters)
    numbers = [target_indices(sample["target"]) is not None for sample, _ in found]
    mixed = any(t and not n for t, n in zip(are_texts, numbers, strict=True)) and any(numbers)
    few = sum(are_texts) < (1 - MAY_LIE) * len(are_texts)
    golds = ["index"] if not any(are_texts) else ["index", "text"] if few else ["text", "index"]
    golds += ["template"] if mixed else []
    labelled = _mostly(
        found, lambda line: isinstance(d := line[0].get("doc"), Mapping) and "mc2_targets" in d
    )
    return ["labels", *golds] if labelled else golds


def in_context(samples: Sequence[Sample]) -> bool:
    """Whether the options stand in the contexts of most documents, before one continuation."""
    return _mostly(_mostly_found(samples), lambda line: line[1].in_context)
