"""What a twin says to a model of a document, beside the harness's own fields of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.conversation import Conversation

_FIELD = "calibration_told"
"""The one attribute that we add to the harness's requests; nobody else reads or writes it."""

Example = tuple[str, str, Any]
"""A solved document: its question, its answer, and itself."""


@dataclass(frozen=True)
class Told:
    """What a request says to a wrapper.

    Attributes:
        conversation: what its context is made of; `None` where the task is not one of ours.
        examples: solved documents to learn from; none where the task has none.
        sentences: of the response that is to be scored; `None` where nothing is.
    """

    conversation: Conversation | None = None
    examples: tuple[Example, ...] = ()
    sentences: tuple[str, ...] | None = None


NOTHING = Told()


def tell(request: Any, told: Told) -> None:
    """Put onto a request (the harness's `Instance`) what a model is to know of its document."""
    setattr(request, _FIELD, told)


def told_of(request: Any) -> Told:
    """What a request says; nothing if it is of a task, or a cache of requests, that is not ours."""
    found = getattr(request, _FIELD, NOTHING)
    return found if isinstance(found, Told) else NOTHING
