"""`--model systemone`: decision models, whose answers to typed questions are probabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.conversation import as_text
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.harness.requests import GENERATE
from lm_eval_calibration.models.shared.choosing import Choice, ChoiceBeliefs
from lm_eval_calibration.models.shared.decision_api import DecisionApi
from lm_eval_calibration.models.shared.phases import asked
from lm_eval_calibration.models.shared.reply import Failed
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.stated import FLOOR, Statement
from lm_eval_calibration.verbal.decisions import CHOICE, YES_NO, Decision, Form
from lm_eval_calibration.verbal.labels import Labels, name_options
from lm_eval_calibration.verbal.letters import normalised
from lm_eval_calibration.verbal.listing import Listing, listing
from lm_eval_calibration.verbal.parsing import uniform

INSTRUCTIONS = """\
{% if yes_no %}Is the answer "{{ names[0] }}"?\
{% elif texts %}Which of the options is the right answer, or goes on best?\
{% else %}Which of the options is right?{% endif %}"""
YES_NOS = (["no", "yes"], ["false", "true"])


class _Question(NamedTuple):
    """A document's question.

    Attributes:
        state: what it is about.
        asks: type, instructions and options.
        order: the options' numbers, as their probabilities come back.
    """

    state: str
    asks: dict[str, Any]
    order: list[int]

    @property
    def prompt(self) -> str:
        """As the server's class takes it."""
        return json.dumps({"state": self.state, "question": self.asks}, ensure_ascii=False)


@register_model("systemone")
class SystemOneLM(ChoiceBeliefs):
    """Multiple choice by a decision model: the document is its state, the options are its choices.

    `POST /v1/systemone`, as Jev, vLLM, llama.cpp and others serve it, or OpenAI's `/v1/decisions`.
    The options' `probabilities` are the belief (never `confidence`, which is none and differs from
    server to server). Options that are short and differ are named by themselves, others by letters
    with a description; yes or no is asked as such. Requests that a server is too busy for are tried
    again, after its `Retry-After`; what it refuses is counted in `invalid_rate`, with its reason.

    Args:
        model: the name by which the server knows it.
        base_url: of the server; by default of who made the form.
        api: `systemone` or `decisions`; by default what the address says.
        orders: in so many cyclic orders the options are given; the mean of the log-probabilities counts.
        floor: probabilities below it are taken for it, for printed zeros are rounded numbers.
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        template: a jinja file of the question's instructions, with `names`, `texts`, `yes_no`,
            `question` and `doc`, or a folder of them by task.
        **model_args: as harness API models have them: `num_concurrent`, `max_retries`, `timeout`, `header`.

    Raises:
        InvalidInputError: an option that cannot be, or no calibrator can be read there.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "systemone"
    states_confidence = False
    generates = False
    default_template = INSTRUCTIONS

    @checked
    def __init__(
        self,
        model: str = "",
        base_url: str = "",
        api: str = "",
        orders: int = 1,
        floor: float = FLOOR,
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        if orders < 1:
            raise invalid("orders", "at least 1", orders)
        if not model:
            raise invalid("model", "the name by which the server knows its model", "nothing")
        self._orders = orders
        server = {"model": model, "base_url": base_url or None, "api": api}
        held_out = {"allow_seen": allow_seen, "allow_other": allow_other}
        super().__init__(
            DecisionApi, floor, calibrator=calibrator, template=template, **held_out, **server, **model_args
        )  # fmt: skip

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """A decision model writes nothing.

        Raises:
            InvalidInputError: always.
        """
        task = requests[0].task_name if requests else ""
        raise InvalidInputError(
            f"Task `{task}` wants generated answers, and a decision model chooses among options: take a task of "
            "multiple choice."
        )

    def state(self, choices: Sequence[Choice]) -> list[Statement]:
        """By the probabilities of each document's options."""
        each = [self._questions(choice) for choice in choices]
        requests = [
            asked(GENERATE, (question.prompt, {}), choice.first, k)
            for choice, questions in zip(choices, each, strict=True)
            for k, question in enumerate(questions)
        ]
        said = self.phases.samples(requests, 1, None, "asking for decisions", tolerant=True)
        replies = iter(text for (text,) in said)
        return [
            self._statement(questions, [next(replies) for _ in questions], len(choice.options))
            for choice, questions in zip(choices, each, strict=True)
        ]

    def _questions(self, choice: Choice) -> list[_Question]:
        """What is asked of a document, once for each order of its options."""
        listed = listing(choice.question, choice.options)
        labels = self._labels(choice, listed)
        pairs = list(zip(labels.names, labels.texts or [None] * len(labels), strict=True))
        plain = [name.casefold() for name in labels.names]
        yes_no = sorted(plain) in YES_NOS
        words = self._prompts.render(
            upstream_name(choice.first.task_name or ""),
            self.default_template,
            question=choice.question,
            names=sorted(labels.names, reverse=True) if yes_no else labels.names,
            texts=labels.texts,
            yes_no=yes_no,
            doc=choice.first.doc,
        )
        turn = {"role": "user", "content": listed.question}
        state = as_text(choice.conversation.asking([turn], choice.examples))
        if yes_no:
            order = [plain.index(max(plain)), plain.index(min(plain))]
            return [_Question(state, {"type": YES_NO, "instructions": words}, order)]
        numbers = list(range(len(pairs)))
        orders = [numbers[k:] + numbers[:k] for k in range(min(self._orders, len(numbers)))]
        asks = {"type": CHOICE, "instructions": words}
        return [
            _Question(state, {**asks, "options": [pairs[i] for i in order]}, order)
            for order in orders
        ]

    def _labels(self, choice: Choice, listed: Listing) -> Labels:
        """By their names; by letters where solved examples before the document are answered so."""
        solved = choice.examples and choice.conversation.has_examples
        if solved and listed.texts and listed.texts != tuple(map(str.strip, choice.options)):
            return Labels(listed.letters, listed.texts)
        return name_options(listed.texts or tuple(listed.letters))

    def _statement(self, questions: list[_Question], replies: list[str], count: int) -> Statement:
        found = [self._read(*each) for each in zip(questions, replies, strict=True)]
        notes = tuple(dict.fromkeys(note for each in found for note in each.notes))
        masses = [each.label_mass for each in found if each.label_mass is not None]
        told: dict[str, Any] = {
            "asked": tuple(question.prompt for question in questions),
            "measures": {"label_mass": float(np.mean(masses))} if masses else {},
        }
        said = tuple(str(reply) for reply in replies if reply)
        rows = []
        for question, decision in zip(questions, found, strict=True):
            if decision.probabilities is not None:
                row = np.empty(count)
                row[question.order] = decision.probabilities
                rows.append(row)
        if not rows:
            return Statement(uniform(count), "invalid", notes, said, **told)
        p = rows[0]
        if len(rows) > 1:
            p = np.exp(normalised(np.mean(np.log(np.maximum(rows, self._floor)), axis=0)))
        status = "repaired" if notes else "valid"
        return Statement(tuple(p.tolist()), status, notes, said, **told)

    def _read(self, question: _Question, reply: str) -> Decision:
        if isinstance(reply, Failed):
            return Decision(None, (reply.reason,))
        try:
            given = json.loads(str(reply))
        except ValueError:
            return Decision(None, ("the reply is no JSON",))
        form: Form = self.base.form
        return form.read(given, question.asks)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and how it was asked."""
        asked_in = {"orders": self._orders, "form": self.base.form.route}
        return {**super().get_model_info(), "systemone": asked_in}
