"""How a law is stated."""

from __future__ import annotations


def holds(condition: object, law: str) -> None:
    """Say which law is broken, if it is.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(law)
