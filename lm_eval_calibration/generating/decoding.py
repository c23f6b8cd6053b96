"""How the next token is chosen, as `generate` of transformers prepares it for a model and settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessorList
from transformers.generation.configuration_utils import GenerationMode
from transformers.generation.stopping_criteria import EosTokenCriteria, MaxLengthCriteria

ALONE = (
    "EpsilonLogitsWarper", "EtaLogitsWarper", "InfNanRemoveLogitsProcessor", "LogitNormalization",
    "MinPLogitsWarper", "TemperatureLogitsWarper", "TopHLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper",
    "TypicalLogitsWarper",
)  # fmt: skip
"""What changes scores by these scores alone, row by row; the rest may look at the tokens before."""
OF_THE_MODEL = ("UnbatchedClassifierFreeGuidanceLogitsProcessor", "WatermarkLogitsProcessor")
"""What runs the model itself, or keeps a state."""
STRANGE = (
    "cache_implementation",
    "return_dict_in_generate",
    "compile_config",
)
"""Settings by which something else than one row of tokens for each prompt is to be returned, or another cache kept."""

Generate = Callable[..., Any]
"""A model's `generate` with all settings given but those that are given here."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """What is done to logits, how a token is drawn of them, and which token ends a text.

    Attributes:
        processors: of logits.
        sampled: whether tokens are drawn; else the likeliest is taken.
        ends: tokens that end a text.
        alone: whether what is done to a row's logits does not depend on its tokens.
    """

    processors: LogitsProcessorList
    sampled: bool
    ends: frozenset[int]
    alone: bool

    def scores(self, logits: torch.Tensor, texts: Sequence[Sequence[int]]) -> torch.Tensor:
        """(B, V) processed scores of float32 logits, which may be changed in place.

        Args:
            logits: (B, V).
            texts: (B,) each row's tokens, prompt included.
        """
        if not self.processors:
            return logits
        if self.alone:
            found: torch.Tensor = self.processors(
                logits.new_zeros((len(logits), 1), dtype=torch.long), logits
            )
            return found
        rows = [
            self.processors(torch.tensor([list(text)], device=logits.device), logits[b : b + 1])
            for b, text in enumerate(texts)
        ]
        return torch.cat(rows)


class UnusualError(Exception):
    """Settings of a generation that are left to transformers' own loops; says which."""


def prepared(generate: Generate, prompt: torch.Tensor) -> Decoding:
    """What `generate` would do for a prompt.

    Args:
        generate: of a model, with its settings.
        prompt: (1, L) tokens.

    Raises:
        UnusualError: beams, assistants, streams and the like.
    """
    found: list[Mapping[str, Any]] = []

    def capture(
        model: Any,
        input_ids: torch.Tensor,
        logits_processor: Any = None,
        stopping_criteria: Any = None,
        generation_config: Any = None,
        **_: Any,
    ) -> torch.Tensor:
        found.append(
            {
                "processors": logits_processor,
                "criteria": stopping_criteria,
                "config": generation_config,
            }
        )
        return input_ids

    generate(prompt, custom_generate=capture)
    if len(found) != 1:
        raise UnusualError("the model generates by code of its own")
    return _decoding(**found[0])


def _decoding(processors: Any, criteria: Any, config: Any) -> Decoding:
    mode = config.get_generation_mode()
    if mode not in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE):
        raise UnusualError(f"{mode.value.replace('_', ' ')} is transformers' own")
    if (config.num_return_sequences or 1) > 1:
        raise UnusualError("`num_return_sequences` is transformers' own")
    for name in STRANGE:
        if getattr(config, name, None) not in (None, False):
            raise UnusualError(f"`{name}` is transformers' own")
    ends: set[int] = set()
    for criterion in criteria:
        if isinstance(criterion, EosTokenCriteria):
            ends |= set(criterion.eos_token_id.flatten().tolist())
        elif not isinstance(criterion, MaxLengthCriteria):
            raise UnusualError(f"{type(criterion).__name__} is transformers' own")
    names = [type(processor).__name__ for processor in processors]
    for name in names:
        if name in OF_THE_MODEL:
            raise UnusualError(f"{name} is transformers' own")
    alone = all(name in ALONE for name in names)
    return Decoding(processors, mode is GenerationMode.SAMPLE, frozenset(ends), alone)
