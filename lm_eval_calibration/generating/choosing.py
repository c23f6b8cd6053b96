"""The next token of each row, and whether its text is finished."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

import torch

from lm_eval_calibration.generating.rows import TextRow, Written
from lm_eval_calibration.generating.sampling import drawn

Key = TypeVar("Key", bound=Hashable)


def choose(rows: Sequence[TextRow], logits: torch.Tensor) -> None:
    """Append the next token to each row.

    Args:
        rows: (B,).
        logits: (B, V) as the model has them.
    """
    tokens = [0] * len(rows)
    for decoding, numbers in _by(rows, lambda row: row.asked.decoding):
        some = [rows[b] for b in numbers]
        own = logits if len(some) == len(rows) else logits[numbers]
        texts = [] if decoding.alone else [[*row.asked.prompt, *row.new] for row in some]
        scores = decoding.scores(own.to(torch.float32, copy=True), texts)
        found = _drawn(scores, some) if decoding.sampled else scores.argmax(dim=-1)
        for b, token in zip(numbers, found.tolist(), strict=True):
            tokens[b] = token
    _tell(rows, logits, tokens)
    for row, token in zip(rows, tokens, strict=True):
        row.new.append(token)


def finished(rows: Sequence[TextRow]) -> dict[int, Written]:
    """The texts that are finished, by their rows' places."""
    done: dict[int, Written] = {}
    for stops, numbers in _by(rows, lambda row: row.asked.stops):
        stopped = stops.found([rows[b].new for b in numbers])
        for b, stop in zip(numbers, stopped, strict=True):
            row = rows[b]
            if stop or row.ended or row.full:
                done[b] = Written(row.new, not (stop or row.ended), row.scores)
    return done


def _drawn(scores: torch.Tensor, rows: Sequence[TextRow]) -> torch.Tensor:
    return drawn(scores, [row.asked.seed for row in rows], [len(row.new) for row in rows])


def _tell(rows: Sequence[TextRow], logits: torch.Tensor, tokens: Sequence[int]) -> None:
    """Note the scores of the tokens of those rows that tell them."""
    told = [b for b, row in enumerate(rows) if row.asked.told]
    if not told:
        return
    said = torch.tensor([tokens[b] for b in told], device=logits.device)
    logs = torch.log_softmax(logits[told].to(torch.float32), dim=-1)
    best = logs.topk(2, dim=-1).values.exp()
    terms = logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)
    entropy = -torch.stack([row.sum() for row in terms])  # (of several it may add otherwise)
    columns = (logs.gather(1, said[:, None])[:, 0], best[:, 0] - best[:, 1], entropy)
    for b, *scores in zip(told, *(column.tolist() for column in columns), strict=True):
        rows[b].scores.append((scores[0], scores[1], scores[2]))


def _by(rows: Sequence[TextRow], key: Callable[[TextRow], Key]) -> Iterable[tuple[Key, list[int]]]:
    """Places of the rows with each key."""
    found: dict[Key, list[int]] = {}
    for b, row in enumerate(rows):
        found.setdefault(key(row), []).append(b)
    return found.items()
