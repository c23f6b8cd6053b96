"""`--model hf-fast`: the harness's `hf`, with every token that requests share computed once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from tqdm import tqdm

from lm_eval_calibration.arguments import checked, parameters
from lm_eval_calibration.errors import CalibrationError, invalid
from lm_eval_calibration.harness.api import (
    get_rolling_token_windows,
    make_disjoint_window,
    register_model,
    rolling_answer,
)
from lm_eval_calibration.harness.loading import loading, refuse_lost
from lm_eval_calibration.harness.requests import ARITHMETIC, ROLLING
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answering import Answering, TokenRequest
from lm_eval_calibration.models.shared.arithmetic import arithmetic
from lm_eval_calibration.models.shared.candidates import tokens_of, trust_of
from lm_eval_calibration.models.shared.fast_texts import FastTexts
from lm_eval_calibration.models.shared.processes import joined
from lm_eval_calibration.models.shared.resuming import Reported
from lm_eval_calibration.models.shared.trust import named
from lm_eval_calibration.models.shared.ways import generation_of, rows_of
from lm_eval_calibration.scoring.contract import Answers, Executor
from lm_eval_calibration.scoring.one_by_one import OneByOne
from lm_eval_calibration.scoring.packed import Packed
from lm_eval_calibration.scoring.sequences import Request

log = logger(f"lm_eval.{__name__}")

PADDING = 37
"""Tokens behind an input that move its numbers as far as its shape moves them."""


@register_model("hf-fast")
class FastHFLM(FastTexts):
    """`hf` with the same arguments and the same numbers, several times faster on shared tokens.

    What requests have in common, a few-shot block or a question before its options, is computed
    once; only positions whose next token is scored reach the vocabulary; the log-softmax is taken
    in float32. On its first requests, and again when longer ones come, the engine is compared with
    `hf` on some of them, and leaves the work to `hf` where it does not agree or the model's
    architecture is not its kind. With `--use_cache` answers are kept as they come.

    Texts are written many at a time, whatever the batch size, from prompts of which each token is
    computed once, after a trial likewise; greedy ones are those that `hf` writes in batches of one.
    What is sampled depends on prompt, sample and seed alone, not on batches, processes or where a
    run was resumed.

    Args:
        batch_tokens: tokens computed at a time, instead of `batch_size` sequences; halved when
            memory runs out. With `reproducible` the size of every pass.
        batch_rows: texts written at a time, at most; else `batch_size`, where it is not 1, the
            harness's default; else as many as are worth it and memory has room for. With
            `reproducible` the rows of every step.
        reproducible: whether each log-likelihood and each text hangs on the model, its arithmetic
            (dtype, device, versions, threads) and its own request alone: the same bits whatever the
            batch size, the other requests, their order, the processes, caches or resumes.
        **kwargs: as for `hf`.
    """

    @checked
    def __init__(
        self,
        *args: Any,
        batch_tokens: int | None = None,
        batch_rows: int | None = None,
        reproducible: bool = False,
        **kwargs: Any,
    ) -> None:
        for name, value in (("batch_tokens", batch_tokens), ("batch_rows", batch_rows)):
            if value is not None and value < 1:
                raise invalid(name, "a whole number from 1", value)
        given = {**({"pretrained": args[0]} if args else {}), **kwargs}
        refuse_lost(given)
        with loading(given, parameters(type(self))):
            super().__init__(*args, **kwargs)
        joined(self)
        self.reproducible = reproducible
        otherwise = self._padded if self._rounds else None
        if reproducible:
            self.batch_size_per_gpu = 1  # (what is left to `hf`, it computes one by one)
        self._batch_tokens = tokens_of(self.device, batch_tokens, reproducible)
        self.trust = trust_of(self, self._batch_tokens, self._precision, otherwise, reproducible)
        rows = batch_rows or (self.batch_size if self.batch_size not in (1, "auto") else None)
        self._step_rows = rows_of(self.device, batch_rows)
        self.begin_texts(
            generation_of(self, self._batch_tokens, rows, self._as_hf, otherwise, reproducible)
        )
        self._observe: Callable[[Answers], None] | None = None
        self._captured: list[Request] | None = None

    def observed(
        self, requests: list[Any], observe: Callable[[Answers], None], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """`loglikelihood`, of whose passes `observe` sees the hidden states too.

        What cannot be packed is computed request by request.

        Raises:
            CalibrationError: a model without a head, or an encoder-decoder model that `hf` has to score.
        """
        self._observe = observe
        try:
            return self.loglikelihood(requests, disable_tqdm)
        finally:
            self._observe = None

    def encoded(self, requests: list[Any]) -> list[Request]:
        """Requests (`Instance`) as tokens, as the harness makes them for `loglikelihood`."""
        captured: list[Request] = []
        self._captured = captured
        try:
            super().loglikelihood(requests, True)
        finally:
            self._captured = None
        return captured

    def trained(self, requests: list[Request]) -> Executor[Any]:
        """What the gradients of `requests` are computed by: packed passes, or one request at a time.

        Raises:
            CalibrationError: an encoder-decoder model, or one without a head.
        """
        if self.backend != "causal":
            raise CalibrationError("Only decoder-only models can be trained so far.")
        shares = self._shares(requests)
        if (
            len(shares) == 1
            and isinstance(shares[0][0], Packed)
            and len(shares[0][1]) == len(requests)
        ):
            return shares[0][0]
        reason = self.trust.candidates[0].reason or self.trust.why_not()
        log.warning("The model is trained one option at a time, slowly: %s.", reason)
        return self._one_by_one()

    def _shares(self, plain: list[Request]) -> list[tuple[Executor[Any], list[int]]]:
        """Which executors may answer which requests; those that are left are `hf`'s."""
        found = self.trust.shares(plain, self._as_hf)
        return [(candidate.executor, numbers) for candidate, numbers in found]

    def _loglikelihood_tokens(
        self,
        requests: list[TokenRequest],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        quiet = disable_tqdm or self.rank != 0
        answering = Answering(requests, self.cache_hook, self._observe, quiet)
        plain = answering.plain
        if self._captured is not None:
            self._captured += plain
            return [(0.0, False)] * len(plain)
        with self._autocast():
            self._answer(answering)
        rest = answering.left
        if rest and self._observe is not None:
            self._observe_plainly(answering, rest)
        elif rest:
            others = [requests[number] for number in rest]
            found = super()._loglikelihood_tokens(others, disable_tqdm, override_bs)
            answering.answers |= dict(zip(rest, found, strict=True))
        return [answering.answers[number] for number in range(len(plain))]

    def _answer(self, answering: Answering) -> None:
        """Have executors answer what they may; when one fails, the next goes on."""
        while answering.left:
            left = answering.left
            shares = self.trust.shares([answering.plain[n] for n in left], self._as_hf)
            for candidate, numbers in shares:
                error = answering.by(candidate.executor, [left[n] for n in numbers])
                if error is not None:
                    why = f"the model failed on {candidate.kind} ({named(error)})"
                    if self.reproducible:  # (who went on would hang on what was asked)
                        raise CalibrationError(f"`reproducible`: {why}.") from error
                    self.trust.lose(candidate, why)
            if all(candidate.reason is None for candidate, _ in shares):
                break

    @property
    def _precision(self) -> torch.dtype:
        """Of the log-softmax."""
        return self.softmax_dtype or torch.float32

    def get_model_info(self) -> dict[str, Any]:
        """`hf`'s; and the arithmetic that reproducible numbers are of."""
        info = dict(super().get_model_info())
        if self.reproducible:
            info[ARITHMETIC] = arithmetic(
                self.model, self._batch_tokens, self._step_rows, self._precision
            )
        return info

    def _autocast(self) -> torch.autocast:
        """As `hf` computes."""
        dtype = self.mixed_precision_dtype
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    def _one_by_one(self, padding: int = 0) -> OneByOne:
        """Raises a CalibrationError where the model has no head."""
        try:
            return OneByOne(self.model, self.max_length, padding=padding)
        except TypeError as lacking:
            raise CalibrationError(
                f"The model's hidden states cannot be had: {self.trust.why_not()}, and one by one: "
                f"{named(lacking)}."
            ) from lacking

    def _observe_plainly(self, answering: Answering, rest: list[int]) -> None:
        """What nothing faster may compute, request by request, with the states that the head reads."""
        if self.backend != "causal":
            raise CalibrationError(
                f"The model's hidden states cannot be had: {self.trust.why_not()}."
            )
        error = answering.by(self._one_by_one(), rest)
        if error is not None:
            raise CalibrationError(
                f"The model's hidden states cannot be had: {self.trust.why_not()}, and one by one: "
                f"{named(error)}."
            ) from error

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[Any]:
        """`hf`'s, but that a text is kept once its last window is scored, and no process waits.

        (`hf` waits for the other processes' windows, of which none may be left in a run that goes on.)
        """
        windows = [
            (n, w) for n, request in enumerate(requests) for w in self._windows(request.args[-1])
        ]
        size = self._detect_batch_size() if self.batch_size == "auto" else self.batch_size
        left = Counter(number for number, _ in windows)
        totals = [0.0] * len(requests)
        with tqdm(total=len(windows), disable=disable_tqdm or self.rank != 0) as bar:
            for start in range(0, len(windows), size):
                batch = windows[start : start + size]
                # (no window shares anything with another)
                scored = super()._loglikelihood_tokens([w for _, w in batch], True, len(batch))
                for (number, _), (value, _) in zip(batch, scored, strict=True):
                    totals[number] += value
                    left[number] -= 1
                    if not left[number]:
                        answer = rolling_answer(totals[number])
                        self.cache_hook.add_partial(ROLLING, requests[number].args, answer)
                bar.update(len(batch))
        return list(map(rolling_answer, totals))

    def _windows(self, text: str) -> list[TokenRequest]:
        """A text's parts, none longer than the model's inputs, each token in one continuation."""
        parts = get_rolling_token_windows(
            self.tok_encode(text), self.prefix_token_id, self.max_length, context_len=1
        )
        return [(None, *make_disjoint_window(part)) for part in parts]

    def set_cache_hook(self, cache_hook: Any) -> None:
        """As `hf`; what cannot be written is said in one line."""
        reported = isinstance(cache_hook, Reported)
        super().set_cache_hook(cache_hook if reported else Reported(cache_hook))

    @property
    def _rounds(self) -> bool:
        """Whether `hf` computes in 16 bits, and so something else in batches of other sizes."""
        dtype = self.mixed_precision_dtype or getattr(self.model, "dtype", torch.float32)
        return dtype not in (torch.float32, torch.float64)

    def _padded(self, chosen: list[Request]) -> list[float]:
        """The model's own answers to inputs that go on for some tokens behind what is scored."""
        if self.backend != "causal":
            return self._as_hf(chosen, len(chosen))
        with self._autocast():
            return [answer.loglikelihood for answer in self._one_by_one(PADDING).score(chosen)]

    def _as_hf(self, chosen: list[Request], batch: int = 1) -> list[float]:
        """`hf`'s own answers, in batches of one and with its log-softmax in float32 at least."""
        changed = {"softmax_dtype": self._precision, "batch_size_per_gpu": batch}
        saved = {name: getattr(self, name) for name in changed}
        try:
            for name, value in changed.items():
                setattr(self, name, value)
            found = super()._loglikelihood_tokens([(None, *r) for r in chosen], True)
        finally:
            for name, value in saved.items():
                setattr(self, name, value)
        return [value for value, _ in found]
