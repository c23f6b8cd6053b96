"""The options' names, and the ways in which a reply may write them."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

_LEAD = re.compile(r"^(?:option|answer|label|choice|class|category|candidate)\b\s*", re.IGNORECASE)
_EDGES = string.punctuation + string.whitespace + "\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
SHORT = 30
"""Characters: options as short as this are named by themselves, longer ones by letters."""


def plain(text: str) -> str:
    """A name without case, punctuation around it, or words such as "option" before it."""
    text = " ".join(text.replace("_", " ").split()).strip(_EDGES)
    return (_LEAD.sub("", text).strip(_EDGES) or text).casefold()


class Labels:
    """Names of options, and who is meant by what a reply writes.

    Args:
        names: one for each option, as the prompt has them.
        texts: what they stand for, where names are letters.
    """

    def __init__(self, names: Sequence[str], texts: Sequence[str] = ()) -> None:
        self.names, self.texts = tuple(names), tuple(texts)
        self.aliases: dict[str, int | None] = {}
        for i, name in enumerate(names):
            self._add(plain(name), i)
        for i, (name, text) in enumerate(zip(names, texts, strict=False)):
            for alias in (plain(text), plain(f"{name} {text}"), plain(f"{name}. {text}"),
                          plain(f"{name}: {text}"), plain(f"{name}) {text}")):  # fmt: skip
                if alias not in map(plain, names):
                    self._add(alias, i)

    def __len__(self) -> int:
        return len(self.names)

    def _add(self, alias: str, option: int) -> None:
        known = self.aliases.setdefault(alias, option)
        if known != option:
            self.aliases[alias] = None  # two options are written so: nobody is meant

    def find(self, written: str) -> int | None:
        """The option that is meant, if one is."""
        return self.aliases.get(plain(written))

    def written(self) -> list[tuple[str, int]]:
        """(alias, option), the longest alias first, for a search in prose."""
        known = [(alias, i) for alias, i in self.aliases.items() if alias and i is not None]
        return sorted(known, key=lambda pair: -len(pair[0]))


def name_options(texts: Sequence[str]) -> Labels:
    """Names for a document's options: the texts themselves if they are short and differ, else letters.

    >>> name_options(["positive", "negative"]).names, name_options(["A", "B"]).names
    (('positive', 'negative'), ('A', 'B'))
    >>> name_options(["it rains. " * 9, "it snows"]).names
    ('A', 'B')
    """
    stripped = [text.strip() for text in texts]
    short = all(0 < len(plain(text)) <= SHORT and "\n" not in text for text in stripped)
    if short and len({plain(text) for text in stripped}) == len(stripped):
        return Labels(stripped)
    letters = string.ascii_uppercase
    names = [
        letters[i] if len(stripped) <= len(letters) else str(i + 1) for i in range(len(stripped))
    ]
    return Labels(names, stripped)
