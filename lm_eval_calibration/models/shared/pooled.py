"""`PooledBeliefs`: the task's own answer, and a pool of samples that say how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.envelope import NO_SCORE, Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.agreement import Weight, agreement
from lm_eval_calibration.metrics.beliefs import NO_PROBABILITIES
from lm_eval_calibration.metrics.token_scores import LIKELIHOODS, TokenScores, likelihoods
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.beliefs import check_sampling
from lm_eval_calibration.models.shared.phases import draws
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.models.shared.saying_the_same import (
    EMBEDDINGS,
    FILTER,
    MODEL,
    AskedSameness,
    ByEmbeddings,
    ByEntailment,
    ByModel,
    Judge,
    check_judge,
    clusters,
)
from lm_eval_calibration.models.shared.token_reading import TokenReader

log = logger(f"lm_eval.{__name__}")


class Sampling(NamedTuple):
    """How pools are made, and judged.

    Attributes:
        candidates: how many answers are sampled beside the task's own.
        temperature: at which; `None`: that of `--gen_kwargs`, else 0.7.
        judge: what says which of them say the same.
        encoder: of `judge=embeddings`.
        threshold: its cosine.
        nli: of `judge=nli`.
        weights: whether samples count by their likelihoods, too.
    """

    candidates: int
    temperature: float | None
    judge: str
    encoder: str
    threshold: float
    nli: str
    weights: bool


class AnsweredPool(NamedTuple):
    """To each request the task's own answer with what its tokens say, and its pool."""

    answers: list[str]
    told: list[dict[str, float]]
    pools: list[list[str]]
    weights: list[tuple[Weight, ...]]


class PooledBeliefs(RecalibratedBeliefs):
    """States one of several beliefs that follow from the answer's tokens and from a pool of samples.

    Args:
        sampling: how pools are made, and judged.
        states: the name of the belief that is stated.
        tokens: whether the likelihoods of the answer's own tokens are read.
        pooled: whether a pool is needed at all.
        base, calibrator, allow_seen, allow_other, template, **model_args: as for
            `RecalibratedBeliefs`.

    Raises:
        InvalidInputError: numbers that cannot be, another judge; a calibrator of what the twin works out.
    """

    def __init__(
        self,
        sampling: Sampling,
        states: str,
        tokens: bool,
        pooled: bool = True,
        base: str | type = "",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        check_sampling(sampling.candidates, heat(sampling.temperature, SAMPLES))
        check_judge(sampling.judge, sampling.threshold)
        if calibrator and sampling.judge == FILTER:
            raise invalid(
                "calibrator", "of a judge other than the task's filter, by which the task finds out itself",
                f"`{calibrator}` with judge={FILTER}",
                "`lm-calib score RUN --calibrator` maps what was logged.",
            )  # fmt: skip
        self._sampling, self._states, self._tokens = sampling, states, tokens
        self._pooled = pooled
        super().__init__(base, calibrator, allow_seen, allow_other, template, **model_args)
        self._judge = self._judged_by(model_args.get("device")) if pooled else None
        if self._judge is not None:
            self._judge.check()

    def _judged_by(self, device: Any) -> Judge | None:
        how = self._sampling
        if how.judge == FILTER:
            return None
        if how.judge == MODEL:
            return ByModel(self)
        if how.judge == EMBEDDINGS:
            return ByEmbeddings(how.encoder, how.threshold, device)
        return ByEntailment(how.nli, device)

    def answered(self, requests: list[Any]) -> AnsweredPool:
        """The task's own answers, and pools, with what is told of their tokens."""
        reader = TokenReader(self) if self._tokens or self._sampling.weights else None
        asked = [reader.request(r) for r in requests] if reader else requests
        own = asked if self._tokens else requests
        many = asked if self._sampling.weights else requests
        answers = self.phases.generate(own, "answering")
        told: list[dict[str, float]] = [{} for _ in requests]
        if reader is not None and self._tokens:
            read = reader.read(requests, [[answer] for answer in answers])
            told = [likelihoods(tokens) if tokens else {} for (tokens,) in read]
            self._refuse_lacking(told)  # (before a pool is paid for)
        temperature = heat(self._sampling.temperature, SAMPLES)
        sampled = any(draws(request.args[1]) for request in requests)  # (then answer 0 is taken)
        count = self._sampling.candidates if self._pooled else 0
        pools = (
            self.phases.samples(many, count, temperature, "sampling answers", first=int(sampled))
            if count
            else [[] for _ in requests]
        )
        _warn_of_one_voice(pools)
        weights: list[tuple[Weight, ...]] = [()] * len(requests)
        if reader is not None and self._sampling.weights:
            weights = [
                tuple(_weight(tokens) for tokens in row) for row in reader.read(requests, pools)
            ]
        return AnsweredPool(answers, told, pools, weights)

    def _refuse_lacking(self, told: Sequence[Mapping[str, float]]) -> None:
        """Stop where the base allows other likelihoods, and not the one that is to be stated."""
        there = next((names for names in told if names), {})
        if there and self._states in LIKELIHOODS and self._states not in there:
            raise invalid(
                "states", f"one that this base allows ({', '.join(there)})", f"`{self._states}`"
            )

    def enveloped(self, requests: Sequence[Any], found: AnsweredPool) -> list[Envelope]:
        """With clusters, where it is not the task's filter that says what says the same."""
        numbers: list[tuple[int, ...]] = [()] * len(requests)
        if self._judge is not None:
            questions = [
                AskedSameness(
                    r, bare_question(conversation_of(r, self.chat).question), [answer, *pool]
                )
                for r, answer, pool in zip(requests, found.answers, found.pools, strict=True)
            ]
            numbers = clusters(self._judge, questions)
        return [self._envelope(*each) for each in zip(*found, numbers, strict=True)]

    def _envelope(
        self,
        answer: str,
        told: dict[str, float],
        pool: list[str],
        weights: tuple[Weight, ...],
        numbers: tuple[int, ...],
    ) -> Envelope:
        every = {**told, **(agreement(numbers, weights) if numbers and pool else {})}
        value, score = every.get(self._states), self._states in NO_PROBABILITIES
        if value is None and (numbers or not pool):  # (else the twin finds it)
            value = NO_SCORE if score else 0.0
        return Envelope(
            self.source,
            answer,
            None if value is None or score else min(value, 1.0),
            candidates=tuple(pool),
            cut=self.share_cut([answer, *pool]),
            score=value if score else None,
            told=every,
            clusters=numbers if pool else (),
            weights=weights,
            states=self._states,
        )


def _weight(tokens: TokenScores | None) -> Weight:
    if tokens is None:
        return 0.0, 0.0
    return float(tokens.log_probability.sum()), float(len(tokens.log_probability))


def _warn_of_one_voice(pools: Sequence[Sequence[str]]) -> None:
    """Say so where all samples of every question are alike, as they are at temperature 0."""
    several = [pool for pool in pools if len(pool) > 1]
    if len(several) > 2 and all(len(set(pool)) == 1 for pool in several):
        log.warning(
            "All %d samples of each of %d questions are alike, so that agreement says nothing: were they drawn at "
            "temperature 0 (--gen_kwargs, or temperature=)?", len(several[0]), len(several),
        )  # fmt: skip
