"""Replies that could not be read, told once: what happened, why most likely, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lm_eval_calibration.messages import logger
from lm_eval_calibration.redact import redact
from lm_eval_calibration.texts import shortened

log = logger(f"lm_eval.{__name__}")

SHOWN, LENGTH = 3, 80
"""Replies that are shown where none could be read, and characters of each."""
ROOM = "max_gen_toks=N in --model_args, or --gen_kwargs max_gen_toks=N, gives replies more room"
CHAT = "--apply_chat_template puts the question as a chat model expects it"


class Unread(NamedTuple):
    """Of a wrapper's replies those without what they were asked for.

    Attributes:
        source: the wrapper.
        what: they were asked for, e.g. `probabilities`.
        replies: that have none of it, as they came.
        total: of all replies, or documents.
        cut: how many of `replies` ended because their room was used up.
        instead: what stands for it in the figures.
        remedy: what else may help.
        chat: whether the model is asked by its chat template.
        note: why the first of them has none, as far as it is known.
    """

    source: str
    what: str
    replies: Sequence[str]
    total: int
    cut: int
    instead: str
    remedy: str
    chat: bool
    note: str = ""

    def say(self) -> None:
        """Warn of them; of all of them in more words, with some of them."""
        if not self.replies:
            return
        note = f" ({self.note})" if self.note else ""
        few = len(self.replies) < self.total
        shown = [
            repr(shortened(redact(str(r)), LENGTH)) for r in self.replies[: 1 if few else SHOWN]
        ]
        if few:
            log.warning(
                "%s: %d of %d replies name no %s%s, e.g. %s: %s, and `invalid_rate` counts them.",
                self.source, len(self.replies), self.total, self.what, note, shown[0], self.instead,
            )  # fmt: skip
            return
        log.warning(
            "%s: none of %d replies names %s%s: %s, and the figures mean nothing. Most likely %s. They say: %s.",
            self.source, self.total, self.what, note, self.instead, self._why(), ", ".join(shown),
        )  # fmt: skip

    def _why(self) -> str:
        if all(not str(reply).strip() for reply in self.replies):
            return "the server, or the model, returns empty texts: ask it once by hand"
        if 2 * self.cut > len(self.replies):
            return f"they end too soon: {ROOM}"
        hints = [self.remedy] if self.chat else [CHAT, self.remedy]
        return f"the model does not answer in the form that is asked for: {'; or '.join(hints)}"
