"""The harness's tasks: the class that twins derive from, and where tasks are found by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval.api.task import ConfigurableTask
from lm_eval.api.utils import maybe_delimit
from lm_eval.tasks import TaskManager

from lm_eval_calibration.conversation import Conversation

__all__ = ["HarnessTask", "TaskManager"]


class HarnessTask(ConfigurableTask):
    """A task of the harness that is made of its configuration alone.

    Its requests carry what the harness does not hand on: the `conversation` that their context was
    made of, so that a wrapper can ask something else in the same words.
    """

    _said_of: tuple[Any, Conversation | None] = (None, None)

    def __init__(self, config: Mapping[str, Any], **places: Any) -> None:
        self._turns: list[list[tuple[str, str, str]]] = []
        super().__init__(config=dict(config), **places)

    def build_all_requests(self, **options: Any) -> None:
        """The harness's, made anew where its cache holds requests of an older release."""
        super().build_all_requests(**options)
        if options.get("cache_requests") and not all(map(_conversation_of, self.instances)):
            super().build_all_requests(**{**options, "rewrite_requests_cache": True})

    def fewshot_context(
        self,
        doc: dict[str, Any],
        num_fewshot: int,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        chat_template: Callable[..., Any] | None = None,
        gen_prefix: str | None = None,
    ) -> Any:
        """The harness's context; what it is made of is remembered for the document's requests."""
        self._turns = []
        context = super().fewshot_context(
            doc,
            num_fewshot,
            system_instruction=system_instruction,
            apply_chat_template=apply_chat_template,
            fewshot_as_multiturn=fewshot_as_multiturn,
            chat_template=chat_template,
            gen_prefix=gen_prefix,
        )
        description = self.resolve_field(doc, self.config.description) or ""
        system = maybe_delimit(system_instruction, description, self.config.fewshot_delimiter)
        chat = bool(apply_chat_template and chat_template)
        count = len(context) if self.multiple_input else 1
        shots, questions = self._turns[:-count], self._turns[-count:]
        own = chat and fewshot_as_multiturn
        self._said_of = (
            doc,
            Conversation(
                questions=tuple(turn[0][1] for turn in questions),
                system=system or "",
                shots=tuple((role, content) for turn in shots for role, content, _ in turn if own),
                lead="" if own else "".join(text for turn in shots for *_, text in turn),
                prefix=gen_prefix or "",
                chat=chat,
            ),
        )
        return context

    def build_qa_turn(self, **parts: Any) -> Any:
        """The harness's messages of one question, noted down before it joins them."""
        found = super().build_qa_turn(**parts)
        self._turns.append([(m.role, m.content, m.to_text()) for m in found])
        return found

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> Any:
        """The harness's requests, each with its document's `conversation`."""
        found = super().construct_requests(doc, ctx, **options)
        known, conversation = self._said_of
        if known is not doc or conversation is None:
            conversation = Conversation((str(ctx),))
        for request in found if isinstance(found, list) else [found]:
            request.conversation = conversation
        return found


def _conversation_of(request: Any) -> bool:
    return isinstance(getattr(request, "conversation", None), Conversation)
