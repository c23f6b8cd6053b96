"""Tasks whose requests say what they were made of, on every release line of the harness."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.told import Told, tell, told_of

Turn = list[tuple[str, str, str]]
"""The messages of one question: role, content, and the same as plain text."""


class Answered(NamedTuple):
    """A document, and what a model answered.

    Attributes:
        doc: the document.
        results: the filtered answers: one to each option, or one text.
        upstream: the harness's own metrics, given results.
        counted: the texts whose lengths its `acc_norm` counts, one for each option.
    """

    doc: dict[str, Any]
    results: Sequence[Any]
    upstream: Callable[[Sequence[Any]], dict[str, Any]]
    counted: Sequence[str] = ()


class Conversing:
    """What the class that twins derive from has on every line, before the harness's own.

    Requests say what the harness does not hand on (`Told`): the conversation that their context was
    made of, so that a wrapper can ask something else in the same words.
    """

    _said_of: tuple[Any, Conversation | None] = (None, None)
    scores_itself = False
    """Whether the harness's metrics are not asked for."""

    def tells(self, doc: dict[str, Any], conversation: Conversation) -> Told:
        """What a model is to know of a document that was put to it in these words."""
        return Told(conversation)

    def adapt(self, request: Any, doc: dict[str, Any]) -> None:
        """Change the harness's own fields of a request, such as how much may be generated."""

    def check_document(self, doc: dict[str, Any]) -> None:
        """Refuse, before any model is asked, a document that cannot be scored as wanted."""

    @property
    def several_contexts(self) -> bool:
        """Whether a document has a context for each option; a line says it."""
        raise NotImplementedError

    def system_of(self, doc: dict[str, Any], instruction: str | None) -> str:
        """The system message of a document; a line says it."""
        raise NotImplementedError

    def document(self, answered: Answered) -> dict[str, Any]:
        """The rows of a document."""
        return answered.upstream(answered.results)

    def rows(self, answered: Answered) -> dict[str, Any]:
        """The same as the harness is to pool them."""
        return self.document(answered)

    def begin(self) -> None:
        """A context is about to be made."""
        self._turns: list[Turn] = []

    def note(self, messages: Sequence[Any]) -> None:
        """The messages of a question were made."""
        self._turns.append([(m.role, m.content, m.to_text()) for m in messages])

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
        self.begin()
        context = super().fewshot_context(  # type: ignore[misc]
            doc,
            num_fewshot,
            system_instruction=system_instruction,
            apply_chat_template=apply_chat_template,
            fewshot_as_multiturn=fewshot_as_multiturn,
            chat_template=chat_template,
            gen_prefix=gen_prefix,
        )
        count = len(context) if self.several_contexts else 1
        shots, asked = self._turns[:-count], self._turns[-count:]
        chat = bool(apply_chat_template and chat_template)
        own = chat and fewshot_as_multiturn
        self._said_of = (
            doc,
            Conversation(
                questions=tuple(turn[0][1] for turn in asked),
                system=self.system_of(doc, system_instruction),
                shots=tuple((role, content) for turn in shots for role, content, _ in turn if own),
                lead="" if own else "".join(text for turn in shots for *_, text in turn),
                prefix=gen_prefix or "",
                chat=chat,
            ),
        )
        return context

    def told(self, found: Any, doc: dict[str, Any], ctx: Any) -> Any:
        """The requests of a document, each with its conversation."""
        self.check_document(doc)
        if found is None:
            return None
        known, conversation = self._said_of
        if known is not doc or conversation is None:
            conversation = Conversation((str(ctx),))
        for request in found if isinstance(found, list) else [found]:
            tell(request, self.tells(doc, conversation))
            self.adapt(request, doc)
        return found


def all_told(requests: Sequence[Any]) -> bool:
    """Whether requests, which may come of a cache of an older release, say what they were made of."""
    return all(told_of(request).conversation is not None for request in requests)


def no_documents(task: Any) -> InvalidInputError:
    """That a task has none."""
    return InvalidInputError(
        f"Task `{task}` has no documents to evaluate on: its split is empty, or `process_docs` keeps none of them."
    )
