"""Have a model leave all scoring to `hf`."""

from __future__ import annotations

from typing import Any


def distrust(lm: Any, reason: str) -> None:
    """As if every executor had been found wrong on it."""
    for candidate in lm.trust.candidates:
        candidate.reason = reason
