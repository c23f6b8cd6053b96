"""Requests as the model's inputs: equal ones once, sorted so that shared beginnings are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import invalid

Tokens = NDArray[np.int32]


class Request(NamedTuple):
    """A continuation after a context, as tokens; neither is empty."""

    context: Sequence[int]
    continuation: Sequence[int]


@dataclass(frozen=True, eq=False)
class Input:
    """Tokens that the model reads, and the requests that they answer.

    Attributes:
        tokens: (S,) context and continuation without the last token.
        requests: numbers of the requests that have these tokens.
        first: the first position whose next token is scored in any of them.
    """

    tokens: Tokens
    requests: tuple[int, ...]
    first: int

    def __len__(self) -> int:
        return len(self.tokens)


def check(requests: Sequence[Request], max_length: int) -> None:
    """Raise an InvalidInputError if a request has no tokens, or too many to score."""
    for number, (context, continuation) in enumerate(requests):
        if not context or not 0 < len(continuation) <= max_length:
            raise invalid(
                f"requests[{number}]",
                f"a context and 1 to {max_length} tokens after it",
                f"{len(context)} and {len(continuation)} tokens",
            )


def inputs_of(requests: Sequence[Request], max_length: int) -> list[Input]:
    """The distinct inputs of `requests`, sorted: those with a common beginning stand together.

    Too long ones lose tokens at their left end, as the harness cuts them.

    Raises:
        InvalidInputError: an empty context or continuation, or a continuation that is longer than
            the model's inputs.
    """
    check(requests, max_length)
    found: dict[bytes, list[int]] = {}
    for number, (context, continuation) in enumerate(requests):
        cut = [*context, *continuation][-(max_length + 1) : -1]
        # Big-endian, so that bytes sort as tokens do and a common beginning is one of bytes too.
        found.setdefault(np.array(cut, dtype=">i4").tobytes(), []).append(number)
    inputs = []
    for key in sorted(found):
        tokens = np.frombuffer(key, dtype=">i4").astype(np.int32)
        longest = max(len(requests[number].continuation) for number in found[key])
        inputs.append(Input(tokens, tuple(found[key]), max(len(tokens) - longest, 0)))
    return inputs


def common_lengths(inputs: Sequence[Input]) -> NDArray[np.intp]:
    """(N,) how many tokens each input shares with the one before; 0 for the first."""
    lengths = np.zeros(len(inputs), dtype=np.intp)
    for i in range(1, len(inputs)):
        a, b = inputs[i - 1].tokens, inputs[i].tokens
        n = min(len(a), len(b))
        different = np.flatnonzero(a[:n] != b[:n])
        lengths[i] = different[0] if len(different) else n
    return lengths
