"""`LetterReader`: which letter a base believes in, by the tokens that it says or by scoring each letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.conversation import Turn
from lm_eval_calibration.errors import RefusedByServerError
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper, Question
from lm_eval_calibration.models.shared.choosing import Choice
from lm_eval_calibration.models.shared.likeliest import ASKED
from lm_eval_calibration.models.shared.phases import asked
from lm_eval_calibration.models.shared.reply import Failed, Said, raw
from lm_eval_calibration.stated import ENDED
from lm_eval_calibration.verbal.letters import (
    MARK,
    Letters,
    answer_token,
    is_letter,
    read_letters,
)
from lm_eval_calibration.verbal.thinking import closing

ROOM = 8
"""Tokens of a reply that is a letter."""
ANSWER = "Answer:"
END = 24
"""Characters of a prompt's end by which its last tokens are told."""
SPELLINGS = ("{}", " {}", "({}", " ({}", "{}.", "{})", "{}:", "**{}", " **{}")
"""How a token may spell a letter, capital or small; those that a tokenizer has as one token count."""
FORCED = "Which letter, then? Reply with the letter of the right option and nothing else."
"""Asked where the thinking ended without an answer."""


class Sheet(NamedTuple):
    """A question as it is shown once.

    Attributes:
        choice: the document.
        turn: the question, with its options in some order.
        letters: of the options as they stand.
    """

    choice: Choice
    turn: Turn
    letters: str


class ReadLetters(NamedTuple):
    """What was read of one asking.

    Attributes:
        letters: of the options as they stood; `None` where nothing could be read.
        why: that is so, or "".
        reply: the model's words.
        cut: whether they ended because their room was used up.
        length: of its thinking, in tokens; `None` where it is not known, or there was none.
    """

    letters: Letters | None
    why: str = ""
    reply: str = ""
    cut: bool = False
    length: int | None = None


class LetterReader:
    """Asks a wrapper's base for letters.

    Args:
        wrapper: whose base is asked, in the run's conversations.
        thoughts: how often the base thinks first; 0 for not at all.
        room: tokens of its thinking.
        temperature: of its thinking.
        end: what ends the thinking, where that is none of the forms that are known.
    """

    def __init__(
        self,
        wrapper: BeliefWrapper,
        thoughts: int = 0,
        room: int = 0,
        temperature: float = 0.0,
        end: str = "",
    ) -> None:
        self._wrapper, self._thoughts, self._room = wrapper, thoughts, room
        self._temperature, self._end = temperature, end
        self._by_tokens = bool(getattr(wrapper.base, "tells_tokens", False))
        self._spellings: dict[tuple[str, str], list[str]] = {}

    def read(self, sheets: Sequence[Sheet]) -> list[list[ReadLetters]]:
        """What is read of each sheet, as often as it is asked."""
        prompts = [self._asked_in(s, [s.turn]) for s in sheets]
        if self._thoughts:
            return self._after_thinking(sheets, prompts)
        closed = [p + closing(p) if isinstance(p, str) else p for p in prompts]
        return [[found] for found in self._directly(sheets, closed, "asking for letters")]

    def _asked_in(self, sheet: Sheet, turns: Sequence[Turn]) -> Any:
        choice = sheet.choice
        return self._wrapper.as_asked(choice.conversation, turns, choice.examples)

    def _directly(
        self, sheets: Sequence[Sheet], prompts: Sequence[Any], title: str
    ) -> list[ReadLetters]:
        if not sheets:
            return []
        if not self._by_tokens:
            return self._scored(sheets, prompts, title)
        questions = [
            Question(p, s.choice.first, ROOM) for s, p in zip(sheets, prompts, strict=True)
        ]
        said = self._wrapper.ask(questions, title, settings={ASKED: True}, tolerant=True)
        texts = [text for (text,) in said]
        _refuse_without_tokens(texts)
        return [_said(text, s.letters, False) for s, text in zip(sheets, texts, strict=True)]

    def _scored(
        self, sheets: Sequence[Sheet], prompts: Sequence[Any], title: str
    ) -> list[ReadLetters]:
        """By the log-likelihoods of all spellings of each letter, where a prompt goes on."""
        requests, counts, moved = [], [], []
        for sheet, prompt in zip(sheets, prompts, strict=True):
            space = _moved(self._wrapper.base, prompt)
            moved.append(bool(space))
            if space:
                whole = (prompt[: -len(space)], space)
                requests.append(asked(LOGLIKELIHOOD, whole, sheet.choice.first, 0))
            spelled = [self._spelled(sheet, letter, prompt) for letter in sheet.letters]
            counts.append([len(each) for each in spelled])
            first, words = sheet.choice.first, [word for each in spelled for word in each]
            requests += [
                asked(LOGLIKELIHOOD, (prompt, word), first, k) for k, word in enumerate(words)
            ]
        values = iter(value for value, _ in self._wrapper.phases.loglikelihood(requests, title))
        found = []
        for count, with_space in zip(counts, moved, strict=True):
            before = next(values) if with_space else 0.0
            sums = [np.logaddexp.reduce([next(values) for _ in range(n)]) for n in count]
            logs = np.array(sums) - before
            mass = float(np.exp(logs).sum())
            nothing = mass <= 0
            why = "no option has any probability" if nothing else ""
            found.append(ReadLetters(None if nothing else Letters(logs, min(mass, 1.0), 0), why))
        return found

    def _spelled(self, sheet: Sheet, letter: str, prompt: str) -> list[str]:
        """A letter's spellings that add one token to a prompt; one where the base's tokens are not known.

        (After "Answer:" a bare letter may be none: ":A" is a token of some vocabularies.)
        """
        encode = getattr(self._wrapper.base, "tok_encode", None)
        if encode is None:
            return [self._wrapper.after(sheet.choice.first, letter)]
        end = prompt[-END:]
        if (letter, end) not in self._spellings:
            before = list(encode(end, add_special_tokens=False))
            words = [form.format(case) for form in SPELLINGS for case in (letter, letter.lower())]
            after = [list(encode(end + word, add_special_tokens=False)) for word in words]
            single = [w for w, a in zip(words, after, strict=True) if a[:-1] == before]
            self._spellings[letter, end] = single or [
                self._wrapper.after(sheet.choice.first, letter)
            ]
        return self._spellings[letter, end]

    def _after_thinking(
        self, sheets: Sequence[Sheet], prompts: Sequence[Any]
    ) -> list[list[ReadLetters]]:
        """As often as it thinks, by what stands after its thinking."""
        in_text = all(isinstance(prompt, str) for prompt in prompts)
        more = {ASKED: True} if self._by_tokens and not in_text else {}
        settings = {**self._wrapper.room.settings(self._room), "max_gen_toks": self._room, **more}
        requests = [
            asked(GENERATE, (prompt, settings), sheet.choice.first)
            for sheet, prompt in zip(sheets, prompts, strict=True)
        ]
        room = "--model_args think_tokens=N"
        said = self._wrapper.phases.samples(
            requests, self._thoughts, self._temperature, "thinking", tolerant=True, room=room
        )
        each = [(n, text) for n, texts in enumerate(said) for text in texts]
        again = self._followed if in_text else self._forced
        found = again(sheets, prompts, each)
        reads: list[list[ReadLetters]] = [[] for _ in sheets]
        for (n, text), read in zip(each, found, strict=True):
            cut = bool(getattr(text, "cut", False))
            reads[n].append(read._replace(reply=raw(text), cut=cut, length=self._length(text)))
        return reads

    def _followed(
        self, sheets: Sequence[Sheet], prompts: Sequence[str], said: Sequence[tuple[int, str]]
    ) -> list[ReadLetters]:
        """Where a prompt can be gone on with: after the thinking, and the words before the letter."""
        there = [i for i, (_, text) in enumerate(said) if not isinstance(text, Failed)]
        whole = [prompts[said[i][0]] + self._body(prompts[said[i][0]], said[i][1]) for i in there]
        mine = [sheets[said[i][0]] for i in there]
        read = dict(zip(there, self._directly(mine, whole, "asking after thinking"), strict=True))
        return [read.get(i) or ReadLetters(None, _reason(text)) for i, (_, text) in enumerate(said)]

    def _body(self, prompt: str, text: str) -> str:
        """A reply up to the letter; its thinking is ended where it was cut."""
        reply = str(text.reply) if isinstance(text, Said) else str(text)
        ended = reply.rfind(self._end) + len(self._end) if self._end in reply else -1
        unfinished = ended < 0 if self._end else bool(getattr(text, "thinking", False))
        if unfinished:
            return f"{reply.rstrip()}{self._closing(prompt, reply)}{ANSWER}"
        spoken = max(reply.rfind(str(text).strip()), ended if self._end else 0, 0)
        marks = list(MARK.finditer(reply, spoken))
        if marks:
            return reply[: marks[-1].end()].rstrip(" \t*_$([{")
        return f"{reply.rstrip()}\n\n{ANSWER}"

    def _closing(self, prompt: str, reply: str) -> str:
        return f"\n{self._end}\n\n" if self._end else closing(prompt, reply) or "\n\n"

    def _forced(
        self, sheets: Sequence[Sheet], _: Sequence[Any], said: Sequence[tuple[int, str]]
    ) -> list[ReadLetters]:
        """Where only turns can be added: by the reply's own letter; without one, it is asked for."""
        _refuse_without_tokens([text for _, text in said])
        found = [_said(text, sheets[n].letters, True) for n, text in said]
        short = [
            i
            for i, (_, text) in enumerate(said)
            if found[i].letters is None and not isinstance(text, Failed)
        ]
        mine = [sheets[said[i][0]] for i in short]
        turns = [
            [
                s.turn,
                {
                    "role": "assistant",
                    "content": str(said[i][1]).strip() or raw(said[i][1]) or "...",
                },
                {"role": "user", "content": FORCED},
            ]
            for i, s in zip(short, mine, strict=True)
        ]
        prompts = [self._asked_in(s, t) for s, t in zip(mine, turns, strict=True)]
        for i, read in zip(
            short, self._directly(mine, prompts, "asking after thinking"), strict=True
        ):
            found[i] = read
        return found

    def _length(self, text: str) -> int | None:
        """Tokens of a reply, where they are known."""
        tokens = getattr(text, "tokens", ())
        if tokens:
            return len(tokens)
        encode = getattr(self._wrapper.base, "tok_encode", None)
        if encode is None or isinstance(text, Failed) or self._by_tokens:
            return None
        return len(encode(raw(text), add_special_tokens=False))


def _moved(base: Any, prompt: Any) -> str:
    """The white space that ends a prompt, where the harness scores it with what follows: its share is taken off again."""
    if not isinstance(prompt, str) or not hasattr(base, "_encode_pair"):
        return ""
    return prompt[len(prompt.rstrip()) :]


def _said(text: str, letters: str, marked: bool) -> ReadLetters:
    """Of a reply with the likeliest tokens in each place."""
    if isinstance(text, Failed):
        return ReadLetters(None, text.reason)
    tokens, thinking = getattr(text, "tokens", ()), getattr(text, "thinking", False)
    cut = bool(getattr(text, "cut", False))
    if not tokens:
        return ReadLetters(None, "no log-probabilities came with the reply", raw(text), cut)
    reply = str(text.reply) if isinstance(text, Said) else str(text)
    token = None if thinking else answer_token(tokens, reply, letters, marked)
    if token is None:
        return ReadLetters(None, ENDED, raw(text), cut)
    found = read_letters(token.top, letters)
    why = "" if is_letter(token, letters) else f"no letter was said, but {token.text!r}"
    if found is None:
        why = f"no option's letter is among the likeliest tokens at {token.text!r}"
    return ReadLetters(found, why, raw(text), cut)


def _reason(text: str) -> str:
    return text.reason if isinstance(text, Failed) else "no answer"


def _refuse_without_tokens(texts: Sequence[str]) -> None:
    """Stop where a server gives no log-probabilities at all.

    Raises:
        RefusedByServerError: it answers, and none of its answers has any.
    """
    answered = [text for text in texts if not isinstance(text, Failed)]
    if answered and not any(getattr(text, "tokens", ()) for text in answered):
        raise RefusedByServerError(
            "The server gives no log-probabilities of the tokens that it generates, by which `option_tokens` "
            "reads letters. `--model verbalized` asks in words."
        )
