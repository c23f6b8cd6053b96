"""`PromptFormat`: how a task's documents were put to a model, and in words what differs."""

from __future__ import annotations

import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from lm_eval_calibration.errors import invalid

LOG_LIKELIHOODS = "log-likelihoods"
"""`PromptFormat.beliefs` of models whose options are scored."""
ASKING = ("option_tokens", "systemone", "verbalized")
"""`PromptFormat.beliefs` of wrappers that show a document's options in a way of their own, whatever is scored of them."""
APPLIED, SERVER = "applied", "server"
"""`PromptFormat.chat_template` where one is applied: not known which; the server's own."""
LETTERS, TEXTS = "letters", "texts"
ALPHABETS = (string.ascii_uppercase, string.ascii_lowercase, string.digits[1:])


@dataclass(frozen=True)
class PromptFormat:
    """How one task's documents become prompts, and what is read of the answers.

    `None` stands for what is not known, and differs from nothing.

    Attributes:
        shots: solved examples before each document.
        chat_template: SHA-256 of its text; "" for plain prompts; `APPLIED` or `SERVER`.
        system_instruction: SHA-256 of its text, or "".
        multiturn: whether shots are turns of the chat; `None` without shots or chat.
        options: what is scored of an option, its letter (`LETTERS`) or its text (`TEXTS`).
        beliefs: `LOG_LIKELIHOODS`, or the name of the wrapper that states or changes them.
    """

    shots: int | None = None
    chat_template: str | None = None
    system_instruction: str | None = None
    multiturn: bool | None = None
    options: str | None = None
    beliefs: str | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known of how documents become prompts."""
        return not (self.shots is None and self.chat_template is None)

    def differences(self, other: PromptFormat) -> list[tuple[str, str]]:
        """What is known of both and not the same, in words: of this one, of the other.

        >>> PromptFormat(shots=0, chat_template="").differences(PromptFormat(2, APPLIED))
        [('zero-shot', 'with 2 shots'), ('on plain prompts', 'in a chat template')]
        """
        asked = {self.beliefs, other.beliefs} & set(ASKING)
        pairs = [
            (name, getattr(self, name), getattr(other, name))
            for name in _WORDS
            if name in NAMES and not (name == "options" and asked)
        ]
        return [
            _in_words(name, mine, theirs)
            for name, mine, theirs in pairs
            if None not in (mine, theirs) and mine != theirs and not _alike(name, mine, theirs)
        ]

    def as_fields(self) -> dict[str, Any]:
        """What is known, for a configuration or a results file."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def of_fields(cls, given: Mapping[str, Any]) -> PromptFormat:
        """The format of `as_fields`; fields of later versions are left out.

        Raises:
            InvalidInputError: a field of another type.
        """
        kept = {name: given[name] for name in NAMES if given.get(name) is not None}
        for name, value in kept.items():
            kind = {"shots": int, "multiturn": bool}.get(name, str)
            if type(value) is not kind:
                raise invalid(f"prompts.{name}", f"a JSON {kind.__name__}", repr(value))
        return cls(**kept)


NAMES = frozenset(field.name for field in fields(PromptFormat))

_WORDS: dict[str, tuple[str, str, str, str]] = {
    # what is said of an empty value, of another one, and of two of the latter
    "shots": ("zero-shot", "with {} shot(s)", "", ""),
    "chat_template": ("on plain prompts", "in a chat template", "in one chat template",
                      "in another chat template"),
    "system_instruction": ("without a system instruction", "with a system instruction",
                           "with one system instruction", "with another system instruction"),
    "multiturn": ("with all shots in one turn", "with shots as turns of the chat", "", ""),
    "options": ("", "with {} as options", "", ""),
    "beliefs": ("", "by {}", "", ""),
}  # fmt: skip


def _alike(name: str, one: Any, other: Any) -> bool:
    """Whether two values may be the same for all that is known."""
    return name == "chat_template" and APPLIED in (one, other) and "" not in (one, other)


def _in_words(name: str, one: Any, other: Any) -> tuple[str, str]:
    empty, some, first, second = _WORDS[name]
    if first and one and other:
        return first, second
    said = [some.format(value) if value else empty for value in (one, other)]
    plural = [
        text.replace("(s)", "" if value == 1 else "s")
        for text, value in zip(said, (one, other), strict=True)
    ]
    return plural[0], plural[1]


def option_style(options: Sequence[str]) -> str | None:
    """`LETTERS` where options are named A, B, C (or a, 1), `TEXTS` otherwise; `None` of one option.

    >>> option_style([" A", " B"]), option_style(["(1)", "(2)"]), option_style([" yes", " no"])
    ('letters', 'letters', 'texts')
    """
    bare = [option.strip().strip("().: ") for option in options]
    if len(bare) < 2:
        return None
    named = any(bare == list(alphabet[: len(bare)]) for alphabet in ALPHABETS)
    return LETTERS if named else TEXTS


def nearest(
    fitted: Iterable[PromptFormat], used: PromptFormat
) -> tuple[PromptFormat, list[tuple[str, str]]]:
    """Of some formats the one that differs least from `used`, and the differences.

    Raises:
        ValueError: there are none.
    """
    return min(((one, one.differences(used)) for one in fitted), key=lambda pair: len(pair[1]))


def to_config(prompts: Mapping[str, PromptFormat]) -> list[dict[str, Any]]:
    """Formats by task as JSON: each once, with its tasks.

    >>> to_config({"a": PromptFormat(shots=0), "b": PromptFormat(shots=0)})
    [{'tasks': ['a', 'b'], 'shots': 0}]
    """
    tasks: dict[PromptFormat, list[str]] = {}
    for task, one in prompts.items():
        tasks.setdefault(one, []).append(task)
    return [{"tasks": names, **one.as_fields()} for one, names in tasks.items()]


def of_config(found: Any) -> dict[str, PromptFormat]:
    """Formats by task of `to_config`'s JSON; none of an artifact that has none.

    Raises:
        InvalidInputError: another kind of value.
    """
    prompts: dict[str, PromptFormat] = {}
    for entry in [] if found is None else found:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("tasks"), list):
            raise invalid("prompts", "a list of objects with `tasks`", repr(entry)[:80])
        prompts |= dict.fromkeys(map(str, entry["tasks"]), PromptFormat.of_fields(entry))
    return prompts
