"""An engine run over the harness's requests: answers are kept as they come, and states shown to who asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from tqdm import tqdm

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.models.shared.resuming import report
from lm_eval_calibration.scoring.contract import Answers, ScoredRequest
from lm_eval_calibration.scoring.sequences import Request

TokenRequest = tuple[tuple[str, str] | None, list[int], list[int]]
Answer = tuple[float, bool]


class Answering:
    """The answers to one call's requests, by whichever engine they come.

    Args:
        requests: the harness's, with their texts and tokens.
        cache_hook: of the model; it is told each answer at once.
        observe: called with what each pass found, by the numbers of `requests`.
        quiet: no progress bar.

    Attributes:
        plain: the requests' tokens.
        answers: those that are known, by number.
    """

    def __init__(
        self,
        requests: Sequence[TokenRequest],
        cache_hook: Any,
        observe: Callable[[Answers], None] | None,
        quiet: bool,
    ) -> None:
        self.requests, self.cache_hook, self.observe, self.quiet = (
            requests, cache_hook, observe, quiet
        )  # fmt: skip
        self.plain = [Request(context, continuation) for _, context, continuation in requests]
        self.answers: dict[int, Answer] = {}

    @property
    def left(self) -> list[int]:
        """Numbers of the requests that are not answered yet."""
        return [number for number in range(len(self.plain)) if number not in self.answers]

    def by(self, engine: Any, numbers: Sequence[int]) -> Exception | None:
        """Have an engine answer some requests.

        Returns:
            What the model raised before all were answered, if it did. What memory, or those who are
            told of answers, raise is raised.
        """
        failed: list[BaseException] = []

        def told(new: Mapping[int, ScoredRequest]) -> None:
            here = {numbers[place]: (value, best) for place, (value, best) in new.items()}
            self.answers |= here
            kept = {self.requests[number][0]: answer for number, answer in here.items()}
            kept.pop(None, None)  # rolling windows are added up, and kept, by the caller
            report(self.cache_hook, "loglikelihood", kept)
            bar.update(len(new))

        def seen(found: Answers) -> None:
            if self.observe is not None:
                if not found.hidden.shape[1]:
                    raise CalibrationError(
                        "The model's hidden states cannot be had: it names no output embeddings."
                    )
                self.observe(found._replace(requests=[numbers[place] for place in found.requests]))

        def guarded(function: Callable[[Any], None]) -> Callable[[Any], None]:
            def call(value: Any) -> None:
                try:
                    function(value)
                except BaseException as error:
                    failed.append(error)
                    raise

            return call

        extra = {} if self.observe is None else {"observe": guarded(seen)}
        with tqdm(
            total=len(numbers), disable=self.quiet, desc="Running loglikelihood requests"
        ) as bar:
            try:
                engine.score([self.plain[n] for n in numbers], answered=guarded(told), **extra)
            except (torch.OutOfMemoryError, MemoryError):
                raise
            except Exception as error:
                if failed:  # (no fault of the model's)
                    raise
                return error
        return None
