"""What the requests of a document ask, so that it can be asked in other words."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from lm_eval_calibration.conversation import Conversation, Turn
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.instances import OptionsDocument
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.names import PREFIX
from lm_eval_calibration.told import told_of


class AskedDocument(NamedTuple):
    """A multiple-choice document as it is put to the base: conversation, question, options."""

    conversation: Conversation
    question: str
    options: list[str]


def conversation_of(request: Any, chat: bool = False) -> Conversation:
    """How a request puts its document: as its twin says, else as its context tells.

    Args:
        request: of a twin, or of a task of the harness.
        chat: whether contexts are in a chat template.

    Raises:
        InvalidInputError: in a chat template's text the question cannot be found.
    """
    known = told_of(request).conversation
    if known is not None:
        return known
    context = request.args[0]
    messages = getattr(context, "prompt", None)
    if messages is not None:  # as an API's class keeps them
        return _of_turns(json.loads(messages))
    if chat:
        raise InvalidInputError(
            f"With --apply_chat_template the bare questions of `{request.task_name}` are not known: "
            f"ask its twin, `{PREFIX}{request.task_name}`."
        )
    return Conversation((str(context),))


def ask_about(requests: list[Any], document: OptionsDocument, chat: bool) -> AskedDocument:
    """What the requests of a multiple-choice document ask.

    Raises:
        InvalidInputError: its prompt is in a chat template already, and its bare question is not
            known.
    """
    mine = [requests[numbers[0]] for numbers in document.options]
    continuations = [str(request.args[1]).strip() for request in mine]
    contexts = [str(request.args[0]) for request in mine]
    conversation = conversation_of(mine[0], chat)
    if len(set(continuations)) == 1 and len(set(contexts)) > 1:  # Winogrande
        question = f"Which of the options goes on best with: {continuations[0]}"
        known = conversation.questions
        if len(known) < len(mine):
            known = tuple(conversation_of(request, chat).question for request in mine)
        return AskedDocument(conversation, question, list(known))
    return AskedDocument(conversation, bare_question(conversation.question), continuations)


def _of_turns(turns: list[Turn]) -> Conversation:
    """A chat's: system, examples, question, and the beginning of the reply."""
    system = turns.pop(0)["content"] if turns[0]["role"] == "system" else ""
    prefix = turns.pop()["content"] if turns[-1]["role"] == "assistant" else ""
    *shots, last = ((turn["role"], turn["content"]) for turn in turns)
    return Conversation((last[1],), system, tuple(shots), prefix=prefix, chat=True)
