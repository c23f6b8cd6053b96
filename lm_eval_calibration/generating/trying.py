"""What a writer is tried on: prompts of several lengths side by side, and on both sides of named ones."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import LogitsProcessorList

from lm_eval_calibration.generating.contract import Writer
from lm_eval_calibration.generating.decoding import Decoding
from lm_eval_calibration.generating.rows import AskedText, Written
from lm_eval_calibration.generating.stops import Stops
from lm_eval_calibration.scoring.checking import SHORT_TOKENS, size, some_of
from lm_eval_calibration.scoring.plan import MIN_PREFIX
from lm_eval_calibration.scoring.sequences import Request

TOKENS = 6
"""Of the longest trial texts; others are shorter, so that rows are replaced and moved."""
LEAST, MORE = 2, 3
SHORT_PROMPTS = 2
"""Short prompts that are tried."""
GREEDY = Decoding(LogitsProcessorList(), False, frozenset(), True)
SAMPLED = Decoding(LogitsProcessorList(), True, frozenset(), True)


def trials(
    asked: Sequence[AskedText], lengths: Sequence[int], longest: int
) -> list[list[AskedText]]:
    """Short greedy texts, whose scores are told, after some of the prompts and parts of them.

    First of many lengths; then, where there are such prompts, that begin alike.

    Args:
        asked: all texts.
        lengths: about which the model may compute something else.
        longest: most tokens that it reads.
    """
    most = max(len(a.prompt) + a.room for a in asked)
    prompts = [tuple(prompt) for prompt in {id(a.prompt): a.prompt for a in asked}.values()]
    room = [0] * TOKENS
    first, *rest = some_of([Request(p, room) for p in prompts], lengths, longest)
    short = [r for r in rest if size(r) <= SHORT_TOKENS + TOKENS]
    kept = [
        first,
        *short[:: max(len(short) // SHORT_PROMPTS, 1)],
        *(r for r in rest if r not in short),
    ]
    found, whole = [r.context for r in kept], max(prompts, key=len)
    for length in lengths:  # (that texts reach, if no prompt does)
        if len(whole) < length < most:
            found.append((whole * (length // len(whole) + 1))[: length - TOKENS // 2])
    different = list(dict.fromkeys(tuple(prompt) for prompt in found if prompt))
    alike = [[whole, whole[:-MORE], whole]] if begins(whole) else []
    rooms = {prompt: TOKENS - n % (TOKENS - LEAST) for n, prompt in enumerate(different)}
    return [
        [
            AskedText(p, GREEDY, Stops.none(), rooms.setdefault(p, TOKENS - 1), told=True)
            for p in some
        ]
        for some in ([*different, different[0]], *alike)
    ]


def begins(prompt: Sequence[int]) -> bool:
    """Whether a prompt is long enough to begin with what others do."""
    return len(prompt) > MIN_PREFIX + MORE


def tried(writer: Writer, asked: Sequence[AskedText]) -> tuple[list[Request], list[float]]:
    """What a writer wrote after each prompt, and the log-likelihoods that it had of that.

    One row fewer than there are texts is written at a time.
    """
    found: dict[int, Written] = {}
    bound, writer.rows = writer.rows, max(len(asked) - 1, 1)
    try:
        writer.write(asked, found.__setitem__)
    finally:
        writer.rows = bound
    requests = [Request(list(a.prompt), found[n].tokens) for n, a in enumerate(asked)]
    return requests, [sum(score[0] for score in found[n].scores) for n in range(len(asked))]
