"""Every fit finds its tasks in one index."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _index_once(one_index: None) -> None:
    """Read once."""
