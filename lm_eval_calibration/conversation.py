"""How a run puts a document to its model, turn by turn, before any template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Turn = dict[str, str]
"""`role` and `content`, as chat templates and servers read them."""


@dataclass(frozen=True)
class Conversation:
    """What the run's options and the task make of one document.

    Attributes:
        questions: the document's question; one for each option where a task asks one for each.
        system: the run's system instruction and the task's description; "" for none.
        shots: solved examples that are turns of their own, question and answer by turns.
        lead: what stands in the question's own turn before it: solved examples, as one text.
        prefix: with which the reply begins (`gen_prefix`); "" for none.
        chat: whether it is put in a chat template; else all is one text.
    """

    questions: tuple[str, ...]
    system: str = ""
    shots: tuple[tuple[str, str], ...] = ()
    lead: str = ""
    prefix: str = ""
    chat: bool = False

    @property
    def question(self) -> str:
        """The document's, or that of its first option."""
        return self.questions[0]

    @property
    def has_examples(self) -> bool:
        """Whether there are solved examples."""
        return bool(self.shots or self.lead)

    def asking(self, turns: Sequence[Turn], examples: bool) -> list[Turn]:
        """Other turns in the place of the question: after the same system text.

        Args:
            turns: the first is the user's.
            examples: whether the run's solved examples go before them.
        """
        first, *rest = turns
        before = [{"role": "system", "content": self.system}] if self.system else []
        if not examples:
            return [*before, *turns]
        before += [{"role": role, "content": content} for role, content in self.shots]
        return [*before, {**first, "content": joined(self.lead, first["content"])}, *rest]


def as_text(turns: Sequence[Turn]) -> str:
    """Turns as one text, where there is no chat template."""
    text = ""
    for turn in turns:
        text = joined(text, turn["content"])
    return text


def joined(before: str, after: str) -> str:
    r"""One text after another, on a line of its own, with an empty one between them.

    >>> joined("", "b"), joined("a", "b"), joined("a\n", "b"), joined("a\n\n", "b")
    ('b', 'a\n\nb', 'a\nb', 'a\n\nb')
    """
    return before + after if not before or before.endswith("\n") else f"{before}\n\n{after}"
