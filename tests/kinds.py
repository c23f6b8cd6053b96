"""One of each kind in every suite, and all cases before a release."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

EXAMPLES = int(os.environ.get("EXAMPLES", "1"))
"""So many times as many drawn cases; `make test-all` sets it."""


def kinds(values: Iterable[Any], few: Collection[Any]) -> list[Any]:
    """Values to parametrize by, of which a few are in every suite."""
    return [pytest.param(v, marks=() if v in few else pytest.mark.exhaustive) for v in values]


def crossed(*axes: Iterable[Any]) -> list[Any]:
    """All combinations of the axes' values, of which every suite has so few that each value occurs."""
    values: list[Sequence[Any]] = [list(axis) for axis in axes]
    longest = max(map(len, values))
    few = {tuple(i % len(axis) for axis in values) for i in range(longest)}
    return [
        pytest.param(
            *(axis[i] for axis, i in zip(values, places, strict=True)),
            marks=() if places in few else pytest.mark.exhaustive,
        )
        for places in itertools.product(*(range(len(axis)) for axis in values))
    ]
