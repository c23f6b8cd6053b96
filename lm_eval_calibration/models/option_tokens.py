"""`--model option_tokens`: any model asked for a letter, believed by the probabilities of the letters' tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import INVALID, Envelope
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.beliefs import check_sampling
from lm_eval_calibration.models.shared.choosing import Choice, ChoiceBeliefs
from lm_eval_calibration.models.shared.letter_beliefs import (
    ShownOptions,
    averaged,
    preferred,
    statement,
)
from lm_eval_calibration.models.shared.letter_reading import LetterReader, Sheet
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.stated import Statement
from lm_eval_calibration.verbal.listing import Listing, listing

log = logger(f"lm_eval.{__name__}")

GROUP = 20
"""Options that are shown together at most: as many as servers return tokens."""
THOUGHT = 2048
"""Tokens of thinking."""
SMALLEST = 1e-12
QUESTION = """\
{% if "Question:" not in question %}Question: {% endif %}{{ question }}

{% for text in texts %}
{{ letters[loop.index0] }}. {{ text }}
{% endfor %}

{% if think %}
Think step by step. Then end with a line of this form, where X is the letter of the right option:
Answer: X
{% if not chat %}

Reasoning:
{% endif %}
{% else %}
Reply with the letter of the right option and nothing else.
{% if not chat %}
Answer:
{% endif %}
{% endif %}"""
RIGHT = "{question}\n\nProposed answer: {answer}\n\nIs the proposed answer right?"


@register_model("option_tokens")
class OptionTokensLM(ChoiceBeliefs):
    """Multiple choice by one question: which letter? Beliefs are the probabilities of the letters' tokens.

    The options are shown with letters. An OpenAI-compatible base is asked for one, and the likeliest
    tokens in its place are read (`top_logprobs`); any other base scores the letters where the prompt
    goes on, so that an API and a checkpoint are compared by the same question. Tokens that spell a
    letter in other ways are added up; `label_mass` is what all options have, `outside_rate` says how
    many were not among the returned tokens. More than 20 options are shown in groups, and the winners
    once more. For a generation twin the question is whether the answer is right, yes or no.

    Args:
        base: `--model` of the one inside.
        orders: in so many cyclic orders the options are shown; the mean of the log-probabilities
            counts (Zheng et al., 2024, use the same orders).
        think: whether the model thinks before it answers, step by step or by its chat template's way.
        think_tokens: room for it; 2,048 by default. Given, the model thinks.
        thoughts: how often it does, in each order; their mean probabilities count, and what they differ
            by is the twins' `mutual_information`. More than one: the model thinks.
        temperature: of thinking; by default that of `--gen_kwargs`, else 0 for one thought and 0.7 for
            several.
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        template: a jinja file with `question`, `texts`, `letters`, `think`, `chat` and `doc`, or a
            folder of them by task.
        **model_args: the base's.

    Raises:
        InvalidInputError: an option that cannot be, or no calibrator can be read there.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "option_tokens"
    asked_for, remedy = "letters", "another model, or --model verbalized"
    default_template = QUESTION

    @checked
    def __init__(
        self,
        base: str = "",
        orders: int = 1,
        think: bool = False,
        think_tokens: int | None = None,
        thoughts: int = 1,
        temperature: float | None = None,
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        for name, value in (("orders", orders), ("think_tokens", think_tokens)):
            if value is not None and value < 1:
                raise invalid(name, "at least 1", value)
        self._think = think or think_tokens is not None or thoughts > 1
        warm = heat(temperature, SAMPLES if thoughts != 1 else 0.0)
        check_sampling(thoughts, warm, name="thoughts")
        if thoughts > 1 and warm == 0:
            raise invalid("temperature", "above 0 for thoughts that differ", warm)
        end = str(model_args.pop("think_end_token", "") or "") if self._think else ""
        self._orders, self._thoughts = orders, thoughts
        held_out = {"allow_seen": allow_seen, "allow_other": allow_other}
        super().__init__(
            base, SMALLEST, calibrator=calibrator, template=template, **held_out, **model_args
        )
        if orders > 1 and self.calibrator is not None and self.calibrator.method == "prior":
            log.warning(
                "%s: the mean of %d orders has taken out what is preferred of letters already, and `%s` divides by it "
                "once more: take `orders=1`.", self.source, orders, calibrator,
            )  # fmt: skip
        room = think_tokens or self.room.given or THOUGHT
        self._reader = LetterReader(self, thoughts if self._think else 0, room, warm, end)
        self._fixed: set[str] = set()
        self._unlettered_said = False

    def state(self, choices: Sequence[Choice]) -> list[Statement]:
        """By the letters' probabilities, in groups where there are many options."""
        lists = [listing(each.question, each.options) for each in choices]
        choices = [self._with_examples(*each) for each in zip(choices, lists, strict=True)]
        wanted = [
            (n, list(numbers))
            for n, each in enumerate(choices)
            for numbers in np.array_split(np.arange(len(each.options)), _groups(each, lists[n]))
        ]
        shown = self._shown(choices, lists, wanted)
        groups: list[list[ShownOptions]] = [[] for _ in choices]
        for each in shown:
            groups[each.document].append(each)
        split = [n for n, each in enumerate(groups) if len(each) > 1 and all(g.known for g in each)]
        finals = [(n, [g.options[int(g.mean.argmax())] for g in groups[n]]) for n in split]
        winners = dict(zip(split, self._shown(choices, lists, finals), strict=True))
        return [
            statement(each, winners.get(n), len(choices[n].options), self._think)
            for n, each in enumerate(groups)
        ]

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """A generation task's own answers, each with the probability of "Yes, it is right"."""
        answers = self.phases.generate(requests, "answering")
        choices = []
        for request, answer in zip(requests, answers, strict=True):
            conversation = conversation_of(request, self.chat)
            asked = RIGHT.format(
                question=bare_question(conversation.question), answer=answer.strip()
            )
            choices.append(Choice(request, conversation, asked, ["Yes", "No"], examples=False))
        return [
            Envelope(
                self.source,
                answer,
                said.probabilities[0],
                said=said.replies,
                flags=(INVALID,) if said.unread else (),
                cut=self.share_cut([answer]),
            )
            for answer, said in zip(answers, self.state(choices), strict=True)
        ]

    def _shown(
        self,
        choices: Sequence[Choice],
        lists: Sequence[Listing],
        wanted: Sequence[tuple[int, list[int]]],
    ) -> list[ShownOptions]:
        """Some options of documents, each shown in all orders."""
        orders = [self._rotations(choices[n], lists[n], numbers) for n, numbers in wanted]
        sheets = [
            self._sheet(choices[n], lists[n], order)
            for (n, _), each in zip(wanted, orders, strict=True)
            for order in each
        ]
        reads = iter(zip(sheets, self._reader.read(sheets), strict=True))
        found = []
        for (n, numbers), each in zip(wanted, orders, strict=True):
            mine = [(order, *next(reads)) for order in each]
            told = [read for _, _, some in mine for read in some]
            belief = averaged(numbers, [(order, some) for order, _, some in mine])
            asked = tuple(sheet.turn["content"] for _, sheet, _ in mine)
            letters = preferred([some for _, _, some in mine])
            found.append(ShownOptions(n, numbers, belief, told, asked, letters))
        return found

    def _rotations(self, choice: Choice, listed: Listing, numbers: list[int]) -> list[list[int]]:
        """The cyclic orders of some options: as many as are wanted, and as there are."""
        if not listed.texts:
            task = str(choice.first.task_name)
            if self._orders > 1 and task not in self._fixed:
                self._fixed.add(task)
                log.warning(
                    "%s: `%s` lists its options in a way that cannot be put in another order; they are shown as they "
                    "stand.", self.source, task,
                )  # fmt: skip
            return [numbers]
        turns = min(self._orders, len(numbers))
        return [numbers[k:] + numbers[:k] for k in range(turns)]

    def _with_examples(self, choice: Choice, listed: Listing) -> Choice:
        """With the run's solved examples where they are solved by letters: others would contradict the question."""
        lettered = not listed.texts or tuple(listed.texts) != tuple(map(str.strip, choice.options))
        shown = choice.examples and (lettered or not choice.conversation.has_examples)
        if choice.examples and not shown and not self._unlettered_said:
            self._unlettered_said = True
            log.warning(
                "%s: the solved examples of `%s` are answered in words, not by letters: they are not shown.",
                self.source, choice.first.task_name,
            )  # fmt: skip
        return choice._replace(examples=shown)

    def _sheet(self, choice: Choice, listed: Listing, order: list[int]) -> Sheet:
        texts = [listed.texts[i] for i in order] if listed.texts else []
        letters = listed.letters[: len(order)]
        text = self.render(
            choice.first,
            listed.question,
            choice.first.doc,
            texts=texts,
            letters=letters,
            think=self._think,
            chat=choice.conversation.chat,
        )
        return Sheet(choice, {"role": "user", "content": text}, letters)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and how it was asked."""
        asked = {"orders": self._orders, "thoughts": self._thoughts if self._think else 0}
        return {**super().get_model_info(), "option_tokens": asked}


def _groups(choice: Choice, listed: Listing) -> int:
    """In how many groups a document's options are shown.

    Raises:
        InvalidInputError: there are more than the winners of groups could be shown together.
    """
    count = len(choice.options)
    if not listed.texts:
        return 1
    if count > GROUP**2:
        raise InvalidInputError(
            f"Task `{choice.first.task_name}`, document {choice.first.doc_id}: {count:,} options, and at most "
            f"{GROUP**2} can be asked about, {GROUP} at a time."
        )
    return -(-count // GROUP)
