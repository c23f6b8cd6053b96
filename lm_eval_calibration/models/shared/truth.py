"""Asking a model whether its own answers are right: by two letters, or by a number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.envelope import CUT, INVALID, Envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.api import Instance
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper, Question
from lm_eval_calibration.models.shared.choosing import Choice
from lm_eval_calibration.models.shared.letter_reading import LetterReader, ReadLetters, Sheet
from lm_eval_calibration.models.shared.phases import asked
from lm_eval_calibration.models.shared.reply import raw, whole
from lm_eval_calibration.models.shared.unread import Unread
from lm_eval_calibration.verbal.letters import normalised
from lm_eval_calibration.verbal.per_cent import read_per_cent
from lm_eval_calibration.verbal.thinking import closing

log = logger(f"lm_eval.{__name__}")

NUMBER = 16
"""Tokens of a reply that is a number."""
ASK = ("auto", "likelihood", "tokens", "verbal")
OPTIONS = ("A", "B")
LIKELIHOOD = """\
Question: {{ question }}

Proposed answer: {{ answer }}

Is the proposed answer right?
A. Yes
B. No
Answer:"""
VERBAL = """\
Question: {{ question }}

Proposed answer: {{ answer }}

How probable is it that the proposed answer is right? Reply with a whole number from 0 to 100 and \
nothing else."""


class AsksTruth(BeliefWrapper):
    """A wrapper that asks its base whether answers are right (Kadavath et al., 2022).

    Attributes:
        _ask: one of `ASK`; settled by what the base turns out to have.
    """

    _ask: str

    @property
    def default_template(self) -> str:  # type: ignore[override]
        """By how it is asked."""
        return VERBAL if self._ask == "verbal" else LIKELIHOOD

    def truth(
        self, requests: list[Any], answers: list[str], template: str | None = None
    ) -> list[Envelope]:
        """Answers, each with its probability of being right.

        Args:
            requests: what was answered.
            answers: to them.
            template: of the question for a number, instead of the wrapper's.
        """
        if self._ask in ("auto", "likelihood"):
            try:
                return self._by_likelihood(requests, answers)
            except (NotImplementedError, AssertionError):  # (a server's class without a tokenizer)
                if self._ask == "likelihood":
                    raise InvalidInputError(
                        "`ask=likelihood` needs a base with log-likelihoods, and this one has "
                        "none. Use ask=tokens, or ask=verbal."
                    ) from None
        if self._ask != "verbal":
            found = self._by_tokens(requests, answers)
            if found is not None:
                return found
            log.warning("The base has no log-likelihoods; it is asked for a number instead.")
            self._ask = "verbal"
        return in_words(self, requests, answers, template)

    def _by_tokens(self, requests: list[Any], answers: list[str]) -> list[Envelope] | None:
        """By the tokens of the two letters; `None` where they are not told."""
        told = getattr(self.base, "tells_tokens", False)
        if not told and self._ask != "tokens":
            return None
        sheets = []
        for request, answer in zip(requests, answers, strict=True):
            conversation = conversation_of(request, self.chat)
            words = {"answer": answer.strip(), "ask": "likelihood"}
            text = self.render(request, conversation.question, request.doc, **words)
            choice = Choice(request, conversation, text, list(OPTIONS), examples=False)
            sheets.append(Sheet(choice, {"role": "user", "content": text}, "".join(OPTIONS)))
        try:
            reads = LetterReader(self).read(sheets)
        except InvalidInputError:
            if self._ask == "tokens":
                raise
            return None
        self._ask = "tokens"
        return [self._read(*each) for each in zip(answers, (r for (r,) in reads), strict=True)]

    def _read(self, answer: str, read: ReadLetters) -> Envelope:
        said = (read.reply,) if read.reply else ()
        cut = self.share_cut([answer])
        if read.letters is None:
            return Envelope(self.source, answer, 0.5, said=said, flags=(INVALID,), cut=cut)
        yes = float(np.exp(normalised(read.letters.log_probabilities))[0])
        return Envelope(self.source, answer, yes, said=said, cut=cut)

    def questions(self, requests: Sequence[Any], answers: Sequence[str]) -> list[Instance]:
        """Log-likelihood requests of whether answers are right: "A" (yes) and "B" of each, in turn."""
        opened = [
            self.prompt(request, answer=answer.strip(), ask="likelihood")
            for request, answer in zip(requests, answers, strict=True)
        ]
        prompts = [p + closing(p) if isinstance(p, str) else p for p in opened]
        found = [
            asked("loglikelihood", (prompt, self.after(request, option)), request, idx)
            for request, prompt in zip(requests, prompts, strict=True)
            for idx, option in enumerate(OPTIONS)
        ]
        for question in found:
            question.beliefs = self.source
        return found

    def _by_likelihood(self, requests: list[Any], answers: list[str]) -> list[Envelope]:
        title = "asking whether the answers are right"
        questions = self.questions(requests, answers)
        yes = self.phases.probabilities(questions, len(OPTIONS), title)[:, 0]
        return [
            Envelope(self.source, answer, float(p), cut=self.share_cut([answer]))
            for answer, p in zip(answers, yes, strict=True)
        ]


def in_words(
    wrapper: BeliefWrapper, requests: list[Any], answers: list[str], template: str | None = None
) -> list[Envelope]:
    """Answers with the probability that the wrapper's base names when it is asked for one."""
    prompts = [
        Question(
            wrapper.prompt(request, template=template, answer=answer.strip(), ask="verbal"),
            request,
            NUMBER,
        )
        for request, answer in zip(requests, answers, strict=True)
    ]
    said = [text for (text,) in wrapper.ask(prompts, "asking how probable the answers are")]
    envelopes = [
        _envelope(wrapper, answer, words) for answer, words in zip(answers, said, strict=True)
    ]
    unread = [words for words, e in zip(said, envelopes, strict=True) if e.flags]
    cut = sum(CUT in e.flags for e in envelopes)
    remedy = "another model, or one whose log-likelihoods or letters can be read (ask=auto)"
    Unread(
        wrapper.source,
        "probability",
        unread,
        len(said),
        cut,
        "a half was taken",
        remedy,
        wrapper.chat,
    ).say()
    return envelopes


def _envelope(wrapper: BeliefWrapper, answer: str, words: str) -> Envelope:
    p = read_per_cent(whole(words))
    why = CUT if getattr(words, "cut", False) else INVALID
    return Envelope(
        wrapper.source,
        answer,
        0.5 if p is None else p,
        said=(raw(words),),
        flags=(why,) if p is None else (),
        cut=wrapper.share_cut([answer, words]),
    )
