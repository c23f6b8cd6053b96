"""Many requests to a base model in named phases: batched, cached piece by piece, samples told apart."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import softmax

from lm_eval_calibration.errors import RefusedByServerError
from lm_eval_calibration.harness.api import Instance, about, hash_args
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answers import unanswered
from lm_eval_calibration.models.shared.kept import Kept
from lm_eval_calibration.models.shared.pending import Pending
from lm_eval_calibration.models.shared.reply import Failed, Said
from lm_eval_calibration.redact import redact
from lm_eval_calibration.verbal.thinking import opens

log = logger(f"lm_eval.{__name__}")

PIECE = 256
"""Requests that are asked at a time where there is a cache: what a kill may cost.

Not where the base tells each answer at once (`answers_at_once`), of which a kill costs none."""
GIVE_UP = 3
"""Requests in a row on which the base gives up, before the run does."""
FEW_FAILURES = 0.1
"""Of a piece: fewer than these without an answer are bad requests, no server that is gone."""
SEEDED = ("TemplateAPI", "VLLM", "SGLangLM")
"""Models to which a sample's seed must be told, for they would give equal samples else."""

WARM = ("VLLM",)
"""Models whose engine draws at temperature 1 where a task names none, which means greedy."""


class Phases:
    """The base of a wrapper, asked in phases.

    Answers are kept as they come, where the base reports them one by one, so that neither a kill
    nor a failure loses one that was paid for.

    Args:
        base: a model of the harness.
        name: the wrapper's, for the log.
        secrets: of the base's arguments, not to be told in the log.
        seed: of samples, where the base was given one; else the run's (`--seed`).

    Attributes:
        tally: how many answers were asked for, and how many kept ones were found.
        seconds: that were spent asking.
    """

    def __init__(
        self,
        base: Any,
        name: str,
        secrets: frozenset[str] = frozenset(),
        seed: int | None = None,
    ) -> None:
        self.base, self.name, self.secrets, self._seed = base, name, secrets, seed
        self.cache: Kept | None = None
        names = {cls.__name__ for cls in type(base).__mro__}
        self.seeded, self._warm = bool(names & set(SEEDED)), bool(names & set(WARM))
        self.tally: Counter[str] = Counter()
        self.seconds = 0.0
        self._in_a_row, self._heard = 0, False
        self._piece: list[int] = []

    def samples(
        self,
        requests: Sequence[Any],
        count: int,
        temperature: float | None,
        title: str,
        tolerant: bool = False,
        room: str = "--model_args max_gen_toks=N, or --gen_kwargs max_gen_toks=N",
        first: int = 0,
    ) -> list[list[str]]:
        """`count` answers to each request, sampled at a temperature; greedy at 0.

        Args:
            requests: what is asked.
            count: how often.
            temperature: at which; `None`: as the requests' settings have it.
            title: of the phase, for the log.
            room: how a user gives replies more of it; "" where it is of no use.
            tolerant: whether a request on which the base gives up (after retries of its own) is
                answered by `Failed`; else its error ends the run. Three in a row always do.
            first: number of the first sample, by which samples of one request are told apart.
        """
        if temperature == 0 and count > 1:
            log.warning("%s: %s: at temperature 0 all %d are equal.", self.name, title, count)
        clones = [
            (self._sampled(request, number, temperature), number)
            for request in requests
            for number in range(first, first + count)
        ]
        asked = [clone for clone, _ in clones]
        keys = [
            hash_args(f"{GENERATE}{self._drawn(clone)}:{number}", clone.args)
            for clone, number in clones
        ]
        answers = self._ask(GENERATE, asked, keys, title, tolerant)
        found = self._said(asked, answers, title, room)
        return [found[i : i + count] for i in range(0, len(found), count)]

    @property
    def seed(self) -> int:
        """The user's: of the base's arguments, or the run's."""
        return torch.initial_seed() if self._seed is None else int(self._seed)

    def generate(self, requests: Sequence[Any], title: str) -> list[str]:
        """Answers to generation requests, from the cache where they are in it.

        What is no text is an empty one, `Failed`; the log says how many there are.
        """
        return [text for (text,) in self.samples(requests, 1, None, title)]

    def loglikelihood(self, requests: Sequence[Any], title: str) -> list[tuple[float, bool]]:
        """Log-likelihoods, likewise.

        Raises:
            InvalidInputError: an answer that is none; the message names its document.
        """
        keys = [hash_args(f"{LOGLIKELIHOOD}:0", request.args) for request in requests]
        found = self._ask(LOGLIKELIHOOD, requests, keys, title)
        return [(float(value), bool(greedy)) for value, greedy in found]

    def probabilities(self, requests: Sequence[Any], count: int, title: str) -> np.ndarray:
        """(R / count, count) softmax over each `count` requests' log-likelihoods.

        Raises:
            InvalidInputError: as `loglikelihood`; or all of a row are -inf.
        """
        values = [value for value, _ in self.loglikelihood(requests, title)]
        table = np.array(values).reshape(-1, count)
        for row in np.flatnonzero(np.isneginf(table).all(axis=1)):
            raise unanswered(requests[int(row) * count], "-inf for each of the options")
        return np.asarray(softmax(table, axis=1))

    def forward(self, kind: str, requests: Sequence[Any], **options: Any) -> list[Any]:
        """What the base says to requests as they are, under the keys that the harness has for them."""
        keys = [
            None
            if kind == GENERATE and request.args[1].get("do_sample")
            else hash_args(kind, request.args)
            for request in requests
        ]
        return self._ask(kind, requests, keys, "as the base answers", whole=True, **options)

    def _ask(
        self,
        kind: str,
        requests: Sequence[Any],
        keys: Sequence[str | None],
        title: str,
        tolerant: bool = False,
        whole: bool = False,
        **options: Any,
    ) -> list[Any]:
        """Answers, known ones from the cache.

        Args:
            kind: of the requests.
            requests: what is asked.
            keys: in the cache; `None` for what is not to be kept.
            title: of the phase.
            tolerant: as for `samples`.
            whole: whether the base gets all at once, cache or not.
            **options: for the base.
        """
        if not requests:
            return []
        answers: dict[int, Any] = {}
        if self.cache is not None:
            known = ((i, self.cache.get(key, kind)) for i, key in enumerate(keys) if key)
            answers = {i: answer for i, answer in known if answer is not None}
        kept = f", {len(answers):,} kept" if answers else ""
        log.info("%s: %s (%d requests%s)", self.name, title, len(requests), kept)
        missing = [i for i in range(len(keys)) if i not in answers]
        pending = Pending(kind, requests, keys, answers, self.cache, tolerant, options)
        self.tally.update(asked=len(missing), kept=len(answers))
        begun = time.perf_counter()
        whole = whole or self.cache is None or getattr(self.base, "answers_at_once", False)
        size = len(missing) if whole else PIECE
        for start in range(0, len(missing), max(size, 1)):
            piece = missing[start : start + size]
            if len(piece) < len(requests):
                end = f"{start + len(piece):,} of {len(missing):,}"
                log.info("%s: %s, %d to %s", self.name, title, start + 1, end)
            self._piece = piece
            self._answer(pending, piece)
            self._refuse_silence(pending)
        self.seconds += time.perf_counter() - begun
        self._say(pending, title)
        return [answers[i] for i in range(len(keys))]

    def _answer(self, pending: Pending, piece: list[int]) -> None:
        """Ask the base for a piece; of one that fails, for what is missing, in halves."""
        try:
            with pending.listening(self.base, piece):
                asked = [pending.requests[i] for i in piece]
                found = getattr(self.base, pending.kind)(asked, **pending.options)
        except (NotImplementedError, RefusedByServerError):
            raise
        except Exception as error:
            if _status(error) in (401, 403):
                said = redact(str(error), self.secrets)[:300]
                raise RefusedByServerError(
                    f"The server refuses every request ({said}): see its key, and `base_url`."
                ) from error
            if not pending.tolerant:
                raise
            self._again(pending, piece, error)
            return
        self._in_a_row, self._heard = 0, True
        pending.take(piece, found)

    def _again(self, pending: Pending, piece: list[int], error: Exception) -> None:
        left = [i for i in piece if i not in pending.answers]
        if len(left) < len(piece):
            self._in_a_row, self._heard = 0, True
        if len(piece) == 1 and left:
            self._in_a_row += 1
            reason = redact(f"{type(error).__name__}: {error}", self.secrets)[:300]
            log.warning("%s: a request was given up (%s).", self.name, reason)
            if self._in_a_row >= GIVE_UP and self._silent(pending):
                kept = "Its answers so far are kept: run the same command again once it is there."
                other = "With --use_cache a run goes on where it was."
                raise RefusedByServerError(
                    f"{self.name}: the base gives no answers any more ({reason}). "
                    f"{other if self.cache is None else kept}"
                ) from None
            pending.answers[left[0]] = Failed(reason)
            return
        half = (len(left) + 1) // 2
        for part in (left[:half], left[half:]):
            if part:
                self._answer(pending, part)

    def _silent(self, pending: Pending) -> bool:
        """Whether more of the piece at hand is without an answer than a few bad requests explain."""
        answered = (pending.answers.get(i) for i in self._piece)
        lacking = sum(a is None or isinstance(a, Failed) for a in answered)
        return lacking >= FEW_FAILURES * len(self._piece)

    def _refuse_silence(self, pending: Pending) -> None:
        """End a run whose base answers nothing at all.

        Raises:
            InvalidInputError: there are several requests and no answer to any; or few, and the base
                has failed at all that it was ever asked.
        """
        found = pending.answers
        enough = len(found) >= GIVE_UP or not self._heard
        if enough and all(isinstance(a, Failed) for a in found.values()):
            first = min(found)
            raise unanswered(pending.requests[first], found[first].reason)

    def _say(self, pending: Pending, title: str) -> None:
        failed = [a for a in pending.answers.values() if isinstance(a, Failed)]
        if failed:
            log.warning(
                "%s: %s: %d of %d requests have no answer (%s).",
                self.name, title, len(failed), len(pending.requests), failed[0].reason,
            )  # fmt: skip
        if self.cache is not None:
            self.cache.say(self.name)

    def _said(
        self, requests: Sequence[Any], answers: Sequence[Any], title: str, advice: str
    ) -> list[str]:
        """What answers say without thinking; the log says how many were cut."""
        said: list[str] = [
            text if isinstance(text, Failed) else Said(text, opens(str(request.args[0])))
            for request, text in zip(requests, answers, strict=True)
        ]
        cut = [i for i, text in enumerate(said) if isinstance(text, Said) and text.cut]
        if cut and advice:
            room = requests[cut[0]].args[1].get("max_gen_toks", "the model's number of")
            log.warning(
                "%s: %s: %d of %d replies were cut after %s tokens. For more room: %s.",
                self.name, title, len(cut), len(said), room, advice,
            )  # fmt: skip
        return said

    def _drawn(self, request: Any) -> str:
        """What a sample's key names beside its settings: the seed, where they do not."""
        return f"@{self.seed}" if draws(request.args[1]) and not self.seeded else ""

    def _sampled(self, request: Any, number: int, temperature: float | None) -> Instance:
        context, given, *rest = request.args
        if temperature is not None and temperature > 0:
            given = {**given, "do_sample": True, "temperature": temperature}
        elif temperature is not None and draws(given):
            given = {**given, "do_sample": False, "temperature": 0.0}
        if draws(given) and self.seeded:
            given = {**given, "seed": (self.seed + number) % 2**31}
        if self._warm and not given.keys() & {"do_sample", "temperature"}:
            given = {**given, "do_sample": False, "temperature": 0.0}
        sampled = asked("generate_until", (context, given, *rest), request)
        sampled.sample = number  # (for hf-fast)
        return sampled


def _status(error: Exception) -> int | None:
    """Of a server's answer, as its library has it; `None` of any other error."""
    response = getattr(error, "response", None)
    found = getattr(response, "status_code", getattr(error, "status", None))
    return found if isinstance(found, int) else None


def asked(kind: str, arguments: tuple[Any, ...], other: Any, idx: int = 0) -> Instance:
    """A request about the same document as another one."""
    of_document = about(other.task_name, other.doc_id)
    return Instance(request_type=kind, doc=other.doc, arguments=arguments, idx=idx, **of_document)


def draws(settings: Mapping[str, Any]) -> bool:
    """Whether replies are drawn under these settings, as the harness reads them.

    >>> draws({"temperature": 0.7}), draws({"do_sample": False, "temperature": 0.7})
    (True, False)
    """
    warm = float(settings.get("temperature") or 0.0) > 0
    told = settings.get("do_sample")
    return warm if told is None else bool(told)
