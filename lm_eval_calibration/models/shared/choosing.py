"""`ChoiceBeliefs`: a wrapper that asks about a document's options, and answers with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.envelope import CUT
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.models.shared.asking import ask_about
from lm_eval_calibration.models.shared.instances import OptionsDocument, documents
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs, rows_by_task
from lm_eval_calibration.models.shared.unread import Unread
from lm_eval_calibration.names import PREFIX, upstream_name
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.stated import ENDED, FLOOR, StatedAnswer, Statement


class Choice(NamedTuple):
    """A document that is asked about.

    Attributes:
        first: one of its requests.
        conversation: how the run puts it.
        question: bare.
        options: their texts.
        examples: whether the run's solved examples are shown before it.
    """

    first: Any
    conversation: Conversation
    question: str
    options: list[str]
    examples: bool = True


class ChoiceBeliefs(RecalibratedBeliefs):
    """Multiple choice by questions of its own: `state` says what is believed of each document.

    Its answers to log-likelihood requests are the options' log-probabilities, each with the statement
    behind it, so that `acc` and every calibration metric come from the same twins as those of other
    models. Documents with one option and rolling log-likelihoods are the base's.

    Args:
        floor: probabilities below it are taken for it.
        base, calibrator, allow_seen, allow_other, template, **model_args: as for `RecalibratedBeliefs`.
    """

    asked_for, remedy = "probabilities", "another model, or --model option_tokens"

    def __init__(self, base: str | type = "", floor: float = FLOOR, **others: Any) -> None:
        if not isinstance(floor, (int, float)) or not 0 < floor < 0.5:
            raise invalid("floor", "above 0 and below 0.5", floor)
        self._floor = float(floor)
        super().__init__(base, **others)

    def state(self, choices: Sequence[Choice]) -> list[Statement]:
        """What is believed of each document; what cannot be had is a statement that says why."""
        raise NotImplementedError

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """Log-probabilities of options as stated; other requests as the base answers them."""
        mine = [d for d in documents(requests) if len(d.options) > 1]
        numbers = {n for d in mine for o in d.options for n in o}
        numbers |= {n for d in mine for n in d.unconditional}
        others = [i for i in range(len(requests)) if i not in numbers]
        answers: dict[int, tuple[float, bool]] = {}
        if others:
            tasks = {document.task for document in mine}
            plain = self._plain([requests[i] for i in others], tasks, **options)
            answers |= dict(zip(others, plain, strict=True))
        if mine:
            answers |= self._answers(requests, mine)
        return [answers[i] for i in range(len(requests))]

    def _plain(
        self, requests: list[Any], asked_about: set[str], **options: Any
    ) -> list[tuple[float, bool]]:
        """As the base has them; a task's only option is certain, where the base has none.

        Args:
            requests: of documents with one option, or with none.
            asked_about: tasks that have documents with several.
            **options: for the base.
        """
        try:
            return super().loglikelihood(requests, **options)
        except NotImplementedError:
            names = {str(request.task_name or "") for request in requests}
            if all(n.startswith(PREFIX) or upstream_name(n) in asked_about for n in names):
                return [(0.0, True)] * len(requests)
            raise

    def _answers(
        self, requests: list[Any], mine: list[OptionsDocument]
    ) -> dict[int, tuple[float, bool]]:
        """Answers to the requests of some documents, by their numbers."""
        self.check(requests, mine)
        choices = [
            Choice(requests[d.options[0][0]], *ask_about(requests, d, self.chat)) for d in mine
        ]
        statements = self.state(choices)
        self._say_unread(statements)
        answers: dict[int, tuple[float, bool]] = {}
        for document, said, scores in zip(
            mine, statements, self._scores(mine, statements), strict=True
        ):
            best = int(np.argmax(scores))
            for k, numbers in enumerate(document.options):
                found = StatedAnswer(float(scores[k]), k == best, said, k)
                answers |= dict.fromkeys(numbers, found)
            constant = StatedAnswer(0.0, False, said)  # nothing is stated without a question
            answers |= dict.fromkeys(document.unconditional, constant)
        return answers

    def _say_unread(self, statements: Sequence[Statement]) -> None:
        unread = [said for said in statements if said.unread]
        words = [next((r for r in said.replies if r.strip()), "") for said in unread]
        cut = sum(said.status == CUT or ENDED in said.notes for said in unread)
        instead = "their options are believed alike, of which `acc` counts the first"
        note = next((said.notes[0] for said in unread if said.notes), "")
        found = Unread(
            self.source,
            self.asked_for,
            words,
            len(statements),
            cut,
            instead,
            self.remedy,
            self.chat,
        )
        found._replace(note="" if note == f"no {self.asked_for}" else note).say()

    def _scores(self, mine: list[OptionsDocument], statements: list[Statement]) -> list[np.ndarray]:
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
