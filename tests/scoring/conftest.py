"""Tiny random models of several architectures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tiny_models import make


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Any]:
    """Models by architecture, each made once."""
    made: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return model
