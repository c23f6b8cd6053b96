"""A response cut into sentences, or a solution into steps."""

from __future__ import annotations

import re

from lm_eval_calibration.errors import MissingExtraError, invalid

SPLITTERS = ("sentences", "steps")


def split(text: str, how: str = "sentences") -> list[str]:
    r"""The parts of a text, without the white space around them.

    Args:
        text: a response.
        how: `sentences`, by sentencex; or `steps`, as solutions are laid out: by empty lines if
            there are any, else by lines, else by sentences.

    Returns:
        At least one part, which is empty if the text is.

    Raises:
        InvalidInputError: another way.
        MissingExtraError: sentencex is not installed.

    >>> split("One and one are 2.\nSo there are 2.", "steps")
    ['One and one are 2.', 'So there are 2.']
    """
    if how not in SPLITTERS:
        raise invalid("split", " or ".join(SPLITTERS), f"`{how}`")
    if how == "steps":
        for between in (r"\n\s*\n", r"\n"):
            parts = _stripped(re.split(between, text.strip()))
            if len(parts) > 1:
                return parts
    return _stripped(_sentences(text)) or [""]


def _sentences(text: str) -> list[str]:
    try:
        from sentencex import segment  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtraError(
            "Sentences are found by sentencex: pip install 'lm-eval-calibration[fractal]'."
        ) from None
    return list(segment("en", text))


def _stripped(parts: list[str]) -> list[str]:
    return [part.strip() for part in parts if part.strip()]
