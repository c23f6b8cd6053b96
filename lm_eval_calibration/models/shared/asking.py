"""What the requests of a multiple-choice document ask, so that it can be asked in other words."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.instances import Document
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.names import PREFIX


class Asked(NamedTuple):
    """A document as it is put to the base: turns before the question, the question, options."""

    before: list[dict[str, str]]
    question: str
    options: list[str]


def ask_about(requests: list[Any], document: Document, chat: bool) -> Asked:
    """What the requests of a document ask.

    Raises:
        InvalidInputError: its prompt is in a chat template already, and its bare question is not
            known.
    """
    pairs = [requests[numbers[0]].args[:2] for numbers in document.options]
    context, continuations = pairs[0][0], [str(pair[1]).strip() for pair in pairs]
    if len(set(continuations)) == 1 and len({str(pair[0]) for pair in pairs}) > 1:  # Winogrande
        question = f"Which of the options goes on best with: {continuations[0]}"
        return Asked([], question, [str(each) for each, _ in pairs])
    messages = getattr(context, "prompt", None)
    if messages is not None:  # as an API's class keeps them
        turns = json.loads(messages)
        return Asked(turns[:-1], bare_question(turns[-1]["content"]), continuations)
    if not chat:
        return Asked([], bare_question(str(context)), continuations)
    known = getattr(requests[document.options[0][0]], "question", None)
    if known is None:
        raise InvalidInputError(
            f"With --apply_chat_template the bare questions of `{document.task}` are not known: ask "
            f"its twin, `{PREFIX}{document.task}`."
        )
    return Asked([], bare_question(known), continuations)
