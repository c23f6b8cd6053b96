"""Documents that belong together, as questions about one passage do, by a field of theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

AUTO, NONE = "auto", "none"
PASSAGES = ("passage", "article", "story", "paragraph", "flores_passage", "context", "premise")
"""Fields of the harness's tasks that several documents may have in common."""
FEW_CLUSTERS = 20
"""Clusters below which an interval from them is too short, and none are made unasked."""


def field(doc: Any, name: str) -> str | None:
    """A field of a document as text, `meta.source` being `source` in `meta`; `None` where there is none.

    >>> field({"meta": {"source": "news"}}, "meta.source")
    'news'
    """
    if isinstance(doc, Mapping) and name in doc:
        return _text(doc[name])
    for part in name.split("."):
        doc = doc.get(part) if isinstance(doc, Mapping) else None
    return _text(doc)


def passage(doc: Mapping[str, Any]) -> str:
    """The name of the field that is a passage by its name, or ""."""
    return next((name for name in PASSAGES if field(doc, name)), "")


def numbered(texts: Sequence[str | None]) -> NDArray[np.intp]:
    """(N,) numbers from 0 of the different texts; one of its own for each that is empty.

    >>> numbered(["a", "", "a", None]).tolist()
    [0, 1, 0, 2]
    """
    numbers: dict[Any, int] = {}
    keys = (text or (place,) for place, text in enumerate(texts))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.intp)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
