"""Settings of the questions that wrappers ask, and the room that a reply has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.models.shared.phases import draws
from lm_eval_calibration.models.shared.run_prompts import given_for_generation

SAMPLES = 0.7
"""Temperature of samples."""
THINKING = 4096
"""Tokens of a reply of a model that thinks before it speaks."""


class Room:
    """How much a model may say to a question of a wrapper.

    Args:
        given: the user's `max_gen_toks`, or `None`.

    Attributes:
        thinks: whether the model thinks before it speaks.
        longest: tokens that there may be at most.

    Raises:
        InvalidInputError: a number that cannot be.
    """

    def __init__(self, given: int | None = None) -> None:
        if given is not None and (not isinstance(given, int) or given < 1):
            raise invalid("max_gen_toks", "a whole number, at least 1", given)
        self._given = given
        self.thinks, self.longest = False, THINKING

    @property
    def given(self) -> int | None:
        """What the user said: to the model, or else for the run."""
        if self._given is not None:
            return self._given
        told = given_for_generation().get("max_gen_toks")
        return None if told is None else int(told)

    def settings(self, enough: int) -> dict[str, Any]:
        """Of a greedy reply that takes so many tokens, where the user does not say otherwise."""
        room = self.given or (max(min(THINKING, self.longest), enough) if self.thinks else enough)
        own: dict[str, Any] = {"until": [], "do_sample": False, "temperature": 0.0}
        told = dict(given_for_generation())
        if "do_sample" not in told and draws(told):
            told["do_sample"] = True
        return {**own, **told, "max_gen_toks": room}


def heat(given: float | None, default: float) -> float:
    """The temperature of samples: the wrapper's argument, else `--gen_kwargs`, else a default.

    Raises:
        InvalidInputError: both are given, and differ.
    """
    told: Mapping[str, Any] = given_for_generation()
    warm = float(told["temperature"]) if "temperature" in told else None
    if given is not None and warm is not None and warm != given:
        raise InvalidInputError(
            f"`temperature` is {given} in --model_args and {warm} in --gen_kwargs: give one of them."
        )
    return next((t for t in (given, warm) if t is not None), default)
