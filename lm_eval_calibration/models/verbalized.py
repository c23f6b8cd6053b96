"""`--model verbalized`: any model, chat APIs too, asked in words how probable each option is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.conversation import Conversation, Turn
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.shared.beliefs import Question, check_sampling
from lm_eval_calibration.models.shared.choosing import Choice, ChoiceBeliefs
from lm_eval_calibration.models.shared.reply import Failed, raw, whole
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.models.shared.truth import VERBAL, in_words
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.stated import FLOOR, Statement
from lm_eval_calibration.verbal import styles
from lm_eval_calibration.verbal.labels import Labels, name_options
from lm_eval_calibration.verbal.parsing import ReadReply
from lm_eval_calibration.verbal.replies import statement

AGAIN = (
    "That could not be read ({reason}). Reply with one JSON object and nothing else, with a number "
    "from 0 to 1 for each of: {names}."
)
ROOM = 256
"""Step in which the room for a reply grows."""


@register_model("verbalized")
class VerbalizedLM(ChoiceBeliefs):
    """Multiple choice for models that give no log-likelihoods: probabilities in words.

    Wang et al., 2024. The base is asked once for each document; its reply becomes the options'
    log-probabilities. A reply that cannot be read is asked for once more, and then stands for the
    uniform distribution; twins report how often. For a generation twin it states one probability that
    its answer is right.

    Args:
        base: `--model` of the one inside.
        style: `distribution`, a probability of every option; `top1` or `topk`, of the best guesses;
            `linguistic`, a phrase.
        guesses: k of `topk`.
        samples: replies of each document, whose distributions are averaged before the logarithm.
        temperature: of the replies; by default that of `--gen_kwargs`, else 0 for one and 0.7
            for several.
        floor: probabilities below it are taken for it, for printed zeros are rounded numbers.
        calibrator: folder of `lm-calib fit verbalized`, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        template: a jinja file with `question`, `names` and `texts`, or a folder of them by task.
        **model_args: the base's.

    Raises:
        InvalidInputError: an option that cannot be, or no calibrator can be read there.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "verbalized"
    remedy = "style=top1 or another style, or --model option_tokens"
    default_template = VERBAL

    @checked
    def __init__(
        self,
        base: str = "",
        style: str = "distribution",
        guesses: int = 3,
        samples: int = 1,
        temperature: float | None = None,
        floor: float = FLOOR,
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        if style not in styles.STYLES:
            raise invalid("style", ", ".join(styles.STYLES), f"`{style}`")
        if not isinstance(guesses, int) or guesses < 1:
            raise invalid("guesses", "a whole number, at least 1", guesses)
        warm = heat(temperature, SAMPLES if samples != 1 else 0.0)
        check_sampling(samples, warm, name="samples")
        self._style = styles.style(style, guesses)
        self._samples, self._heat = samples, warm
        held_out = {"allow_seen": allow_seen, "allow_other": allow_other}
        super().__init__(
            base, floor, calibrator=calibrator, template=template, **held_out, **model_args
        )

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """A generation task's own answers, each with the probability that the base names."""
        return in_words(self, requests, self.phases.generate(requests, "answering"))

    def state(self, choices: Sequence[Choice]) -> list[Statement]:
        """By the numbers in each document's reply, or replies."""
        labels = [name_options(each.options) for each in choices]
        turns = [
            [{"role": "user", "content": self._question(*each)}]
            for each in zip(choices, labels, strict=True)
        ]
        firsts, conversations = [c.first for c in choices], [c.conversation for c in choices]
        return self._ask(firsts, conversations, turns, labels)

    def _ask(
        self,
        firsts: list[Any],
        conversations: list[Conversation],
        turns: list[list[Turn]],
        labels: list[Labels],
    ) -> list[Statement]:
        """A statement of each document, with one more try where nothing can be read."""
        prompts = list(zip(conversations, turns, firsts, labels, strict=True))
        said = self._replies(prompts, self._samples, self._heat, "asking for probabilities")
        replies = [
            [self._read(text, names) for text in texts]
            for texts, names in zip(said, labels, strict=True)
        ]
        failed = [
            i
            for i, (texts, read) in enumerate(zip(said, replies, strict=True))
            if all(r.probabilities is None for r in read)
            and not all(isinstance(text, Failed) for text in texts)  # (retried by the base)
        ]
        again = [
            (conversations[i], [*turns[i], *_once_more(said[i], replies[i], labels[i])],
             firsts[i], labels[i])
            for i in failed
        ]  # fmt: skip
        more = self._replies(again, 1, None, "asking once more")
        for i, (text,) in zip(failed, more, strict=True):
            said[i] = [*said[i], text]
            replies[i] = [*replies[i], self._read(text, labels[i])]
        return [
            replace(
                statement([*map(raw, texts)], read, len(names), self.share_cut(texts)),
                asked=(asked[0]["content"],),
            )
            for texts, read, names, asked in zip(said, replies, labels, turns, strict=True)
        ]

    def _read(self, text: str, labels: Labels) -> ReadReply:
        if isinstance(text, Failed):
            return ReadReply(None, "invalid", (text.reason,))
        read = self._style.read(whole(text), labels)
        if read.probabilities is None and getattr(text, "cut", False):
            return ReadReply(None, "cut", ("it was cut before it could be read",))
        return read

    def _replies(
        self,
        prompts: Sequence[tuple[Conversation, list[Turn], Any, Labels]],
        count: int,
        temperature: float | None,
        title: str,
    ) -> list[list[str]]:
        questions = [
            Question(self.as_asked(conversation, turns, examples=True), first, _room(labels))
            for conversation, turns, first, labels in prompts
        ]
        # (what cannot be had is an invalid reply, with the reason)
        return self.ask(questions, title, count=count, temperature=temperature, tolerant=True)

    def _question(self, choice: Choice, labels: Labels) -> str:
        """The document's question, put so that probabilities are the answer."""
        return self._prompts.render(
            upstream_name(choice.first.task_name or ""),
            self._style.template,
            question=choice.question,
            **self._style.names(labels),
            doc=choice.first.doc,
        )


def _once_more(texts: list[str], read: list[ReadReply], labels: Labels) -> list[Turn]:
    """The reply that could not be read, and what is said to it."""
    text, reply = next(
        pair for pair in zip(texts, read, strict=True) if not isinstance(pair[0], Failed)
    )
    again = AGAIN.format(reason=reply.notes[0], names=", ".join(labels.names))
    return [
        {"role": "assistant", "content": str(text) or "..."},
        {"role": "user", "content": again},
    ]


def _room(labels: Labels) -> int:
    """Tokens that a reply may take, in steps: bases batch requests of one number together."""
    needed = 64 + 3 * sum(len(name) // 3 + 8 for name in labels.names)
    return ROOM * math.ceil(needed / ROOM)
