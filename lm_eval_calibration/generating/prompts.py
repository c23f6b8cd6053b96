"""Prompts to be read: equal ones once, what several begin with once, the longest first."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from lm_eval_calibration.generating.rows import AskedText
from lm_eval_calibration.scoring.network import KeyValues
from lm_eval_calibration.scoring.passages import Beginning, beginning_of
from lm_eval_calibration.scoring.plan import Prefix, plan_rows
from lm_eval_calibration.scoring.sequences import Request, Tokens, inputs_of


@dataclass
class BegunPrompts:
    """A prompt that was read.

    Attributes:
        key_values: of several prompts.
        owner: which of these it is.
        logits: (V,) of the token after it.
    """

    key_values: KeyValues
    owner: int
    logits: torch.Tensor


@dataclass(eq=False)
class Prompt:
    """A prompt, and the texts that are to go on from it.

    Attributes:
        prefix: what it begins with, as others do.
        rest: its tokens beyond that; one at least.
        waiting: numbers of the texts that are not begun.
        begun: once it was read, until all texts are begun.
    """

    prefix: Prefix | None
    rest: Tokens
    waiting: deque[int] = field(default_factory=deque)
    begun: BegunPrompts | None = None

    @property
    def length(self) -> int:
        """Its tokens."""
        return len(self.rest) + (self.prefix.end if self.prefix else 0)


def prompts_of(asked: Sequence[AskedText], shared: bool = True) -> list[Prompt]:
    """The prompts of all texts: those with one prefix side by side, and the longest first.

    Args:
        asked: the texts.
        shared: whether they may have prefixes.
    """
    inputs = inputs_of([Request(a.prompt, [0]) for a in asked], max(len(a.prompt) for a in asked))
    groups: dict[Prefix | None, list[Prompt]] = {}
    least = {} if shared else {"min_prefix": sys.maxsize}
    for row in plan_rows(inputs, row_tokens=-1, **least):
        made = Prompt(row.prefix, row.tokens, deque(row.inputs[0].requests))
        groups.setdefault(row.prefix, []).append(made)
    for group in groups.values():
        group.sort(key=lambda prompt: prompt.length, reverse=True)
    order = sorted(groups.values(), key=lambda group: group[0].length, reverse=True)
    return [prompt for group in order for prompt in group]


def prompts_apart(asked: Sequence[AskedText], beginning: Beginning) -> list[Prompt]:
    """The prompts of all texts, each cut where it says itself; those with one beginning side by side.

    Args:
        asked: the texts.
        beginning: where a prompt's beginning ends.
    """
    prefixes: dict[bytes, Prefix] = {}
    groups: dict[Prefix | None, dict[bytes, Prompt]] = {}
    for number, text in enumerate(asked):
        tokens = np.array(text.prompt, dtype=np.int32)
        split = beginning_of(text.prompt, beginning)
        begun, rest = tokens[:split], tokens[split:]
        prefix = prefixes.setdefault(begun.tobytes(), Prefix(begun)) if split else None
        group = groups.setdefault(prefix, {})
        group.setdefault(rest.tobytes(), Prompt(prefix, rest)).waiting.append(number)
    return [prompt for group in groups.values() for prompt in group.values()]


def root_of(prefix: Prefix | None) -> Prefix | None:
    """The first of a prefix and those before it."""
    while prefix is not None and prefix.parent is not None:
        prefix = prefix.parent
    return prefix


def together(prompts: Sequence[Prompt], rows: int, tokens: int) -> Iterator[Prompt]:
    """The first prompts that are worth reading in one pass.

    Args:
        prompts: of which the first is not read.
        rows: texts that there is room for.
        tokens: of a pass, padding included, but one prompt at least.
    """
    first, count = prompts[0], 0
    for number, prompt in enumerate(prompts):
        fits = (number + 1) * len(first.rest) <= tokens and count < rows
        if number and (not fits or prompt.prefix is not first.prefix or prompt.begun is not None):
            return
        count += len(prompt.waiting)
        yield prompt
