"""`--model verbalized`: any model, chat APIs too, asked in words how probable each option is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.conversation import Conversation, Turn
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.p_true import VERBAL, in_words
from lm_eval_calibration.models.shared.answers import Failed, raw, whole
from lm_eval_calibration.models.shared.asking import Asked, ask_about
from lm_eval_calibration.models.shared.beliefs import Question, check_sampling
from lm_eval_calibration.models.shared.instances import Document, documents
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs, rows_by_task
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.stated import FLOOR, StatedAnswer, Statement
from lm_eval_calibration.verbal import styles
from lm_eval_calibration.verbal.labels import Labels, name_options
from lm_eval_calibration.verbal.parsing import Reply
from lm_eval_calibration.verbal.replies import statement

AGAIN = (
    "That could not be read ({reason}). Reply with one JSON object and nothing else, with a number "
    "from 0 to 1 for each of: {names}."
)
ROOM = 256
"""Step in which the room for a reply grows."""


@register_model("verbalized")
class VerbalizedLM(RecalibratedBeliefs):
    """Multiple choice for models that give no log-likelihoods: probabilities in words.

    Wang et al., 2024. The base is asked once for each document; its reply becomes the options'
    log-probabilities, so that `acc` and every calibration metric come from the same twins as those
    of other models. A reply that cannot be read is asked for once more, and then stands for the
    uniform distribution; twins report how often. For a generation twin it states one probability that
    its answer is right. Documents with one option and rolling log-likelihoods are the base's.

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
        if not isinstance(floor, (int, float)) or not 0 < floor < 0.5:
            raise invalid("floor", "above 0 and below 0.5", floor)
        self._style, self._floor = styles.style(style, guesses), float(floor)
        self._samples, self._heat = samples, warm
        super().__init__(base, calibrator, allow_seen, allow_other, template, **model_args)

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """Log-probabilities of options as stated; other requests as the base answers them."""
        mine = [d for d in documents(requests) if len(d.options) > 1]
        numbers = {n for d in mine for o in d.options for n in o}
        numbers |= {n for d in mine for n in d.unconditional}
        others = [i for i in range(len(requests)) if i not in numbers]
        answers: dict[int, tuple[float, bool]] = {}
        if others:
            plain = super().loglikelihood([requests[i] for i in others], **options)
            answers |= dict(zip(others, plain, strict=True))
        if mine:
            answers |= self._stated(requests, mine)
        return [answers[i] for i in range(len(requests))]

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """A generation task's own answers, each with the probability that the base names."""
        return in_words(self, requests, self.phases.generate(requests, "answering"))

    def _stated(self, requests: list[Any], mine: list[Document]) -> dict[int, tuple[float, bool]]:
        """Answers to the requests of some documents, by their numbers."""
        self.check(requests, mine)
        firsts = [requests[d.options[0][0]] for d in mine]
        about = [ask_about(requests, d, self.chat) for d in mine]
        labels = [name_options(each.options) for each in about]
        turns = [
            [{"role": "user", "content": self._question(*each)}]
            for each in zip(firsts, about, labels, strict=True)
        ]
        conversations = [each.conversation for each in about]
        statements = self._ask(firsts, conversations, turns, labels)
        answers: dict[int, tuple[float, bool]] = {}
        for document, said, scores in zip(
            mine, statements, self._scores(mine, statements), strict=True
        ):
            best = int(np.argmax(scores))
            for k, numbers in enumerate(document.options):
                found = StatedAnswer(float(scores[k]), k == best, said)
                answers |= dict.fromkeys(numbers, found)
            constant = StatedAnswer(0.0, False, said)  # nothing is stated without a question
            answers |= dict.fromkeys(document.unconditional, constant)
        return answers

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
            statement([*map(raw, texts)], read, len(names), self.share_cut(texts))
            for texts, read, names in zip(said, replies, labels, strict=True)
        ]

    def _read(self, text: str, labels: Labels) -> Reply:
        if isinstance(text, Failed):
            return Reply(None, "invalid", (text.reason,))
        read = self._style.read(whole(text), labels)
        if read.probabilities is None and getattr(text, "cut", False):
            return Reply(None, "cut", ("it was cut before it could be read",))
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

    def _question(self, first: Any, about: Asked, labels: Labels) -> str:
        """The document's question, put so that probabilities are the answer."""
        return self._prompts.render(
            upstream_name(first.task_name or ""),
            self._style.template,
            question=about.question,
            **self._style.names(labels),
            doc=first.doc,
        )

    def _scores(self, mine: list[Document], statements: list[Statement]) -> list[np.ndarray]:
        """Log-probabilities of each document's options, floored and calibrated."""
        floored = [np.log(np.maximum(s.probabilities, self._floor)) for s in statements]
        if self.calibrator is None:
            return floored
        scores = list(floored)
        for task, numbers in rows_by_task([document.task for document in mine]).items():
            rows = [floored[i].tolist() for i in numbers]
            mapped = self.calibrator.transform(
                Predictions.from_options(rows, [[] for _ in rows]), task
            ).log_probabilities
            assert mapped is not None
            for i, row in zip(numbers, mapped, strict=True):
                scores[i] = row[: len(floored[i])]
        return scores


def _once_more(texts: list[str], read: list[Reply], labels: Labels) -> list[Turn]:
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
