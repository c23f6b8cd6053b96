"""Who writes the texts of a transformers model: rows of our own where they are `hf`'s, else `hf`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from tqdm import tqdm

from lm_eval_calibration.generating.decoding import UnusualError
from lm_eval_calibration.generating.rows import Asked, Written
from lm_eval_calibration.generating.trying import trials, tried
from lm_eval_calibration.generating.writer import Writer
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.likeliest import ASKED
from lm_eval_calibration.models.shared.trust import Expected, named
from lm_eval_calibration.models.shared.writing import Texts
from lm_eval_calibration.scoring.checking import (
    agree,
    apart,
    named_lengths,
    unmasked_length,
    unswitched_length,
)

log = logger(f"lm_eval.{__name__}")

Told = Callable[[int, str, Written], None]
"""What is told each text, by the number of its request."""


class Generation:
    """Writes what requests ask for, after a trial on some of them; what it may not write is left to `hf`.

    Args:
        lm: a model of transformers in the harness's class.
        make: makes the writer; may raise whatever the model stumbles over.
        expected: `hf`'s log-likelihoods of some requests.
        otherwise: the same computed in another shape, where the precision is such that they are others.

    Attributes:
        reason: why nothing is written here, if nothing is.
    """

    def __init__(
        self,
        lm: Any,
        make: Callable[[], Writer],
        expected: Expected,
        otherwise: Expected | None = None,
    ) -> None:
        self.lm, self._make, self._expected, self._otherwise = lm, make, expected, otherwise
        config = lm.model.config
        limits = [unmasked_length(config), unswitched_length(config)]
        self._limit = min((n for n in limits if n is not None), default=None)
        self._lengths = named_lengths(config)
        self._tried = 0
        self._writer: Writer | None = None
        self._told: set[str] = set()
        self.reason: str | None = None

    def answer(
        self, requests: Sequence[Any], seed: Callable[[int], int], told: Told, quiet: bool
    ) -> list[int]:
        """Write texts.

        Args:
            requests: (`Instance`) of prompts and settings.
            seed: of what is drawn for a request, by its number.
            told: called with each text as it is finished.
            quiet: no progress bar.

        Returns:
            Numbers of the requests that are left to `hf`.
        """
        texts = Texts(self.lm, ASKED)
        asked = self._asked(requests, texts, seed)
        self._earn(list(asked.values()))
        left = set(range(len(requests)))
        if self.reason is not None or not asked:
            return sorted(left)
        numbers, failed = list(asked), []
        progress = Progress(len(requests), quiet)

        def done(place: int, written: Written) -> None:
            number = numbers[place]
            progress.add(len(written.tokens))
            try:
                told(number, texts.text(asked[number], written.tokens), written)
            except BaseException as error:
                failed.append(error)
                raise
            left.discard(number)

        try:
            self._write(list(asked.values()), done)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            if failed:  # (no fault of the model's)
                raise
            self._lose(f"the model failed on rows of different lengths ({named(error)})")
        finally:
            progress.close()
        return sorted(left)

    def _asked(
        self, requests: Sequence[Any], texts: Texts, seed: Callable[[int], int]
    ) -> dict[int, Asked]:
        """What may be written here, by number."""
        found: dict[int, Asked] = {}
        for number, request in enumerate(requests):
            if self.reason is not None:
                return {}
            try:
                asked = texts.asked(request, seed(number))
            except UnusualError as unusual:
                self._say(f"hf generates where {unusual}.", log.info)
                continue
            if self._limit is None or len(asked.prompt) + asked.room <= self._limit:
                found[number] = asked
            else:
                self._say(
                    f"hf generates texts of over {self._limit} tokens with their prompts: there this "
                    "architecture computes something else of several together.",
                    log.warning,
                )
        return found

    def _write(self, asked: Sequence[Asked], done: Callable[[int, Written], None]) -> None:
        assert self._writer is not None
        with self.lm._autocast():
            self._writer.write(asked, done)

    def _earn(self, asked: Sequence[Asked]) -> None:
        """Try the writer on the first texts, and where later ones reach a length that may be special."""
        most = max((len(a.prompt) + a.room for a in asked), default=0)
        reached = any(self._tried < length < most for length in self._lengths)
        if self.reason is not None or not asked or (self._tried and not reached):
            return
        try:
            self._writer = self._writer or self._make()
            agreed = self._agrees(self._writer, trials(asked, self._lengths, self.lm.max_length))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
            self._lose(f"the model does not take rows of different lengths ({named(error)})")
            return
        self._tried = max(self._tried, most)
        if not agreed:
            self._lose("rows of different lengths and separate texts disagree on this architecture")

    def _agrees(self, writer: Writer, some: Sequence[Asked]) -> bool:
        """Whether what is written is as likely as `hf` finds it."""
        with self.lm._autocast():
            requests, ours = tried(writer, some)
        theirs = self._expected(requests)
        otherwise = self._otherwise(requests) if self._otherwise else None
        noise = apart(requests, theirs, otherwise) if otherwise else None
        return agree(requests, ours, theirs, writer.dtype, noise)

    def _lose(self, reason: str) -> None:
        self.reason = reason
        self._say(f"hf-fast generates as slowly as hf: {reason}.", log.warning)

    def _say(self, text: str, say: Callable[..., None]) -> None:
        if text not in self._told:
            self._told.add(text)
            say("%s", text)


class Progress:
    """One bar for a phase: texts that are finished, tokens a second, time left.

    Args:
        count: of texts.
        quiet: no bar.
    """

    def __init__(self, count: int, quiet: bool) -> None:
        self._bar = tqdm(total=count, disable=quiet, desc="Running generate_until requests")
        self._tokens, self._begun = 0, time.perf_counter()

    def add(self, tokens: int) -> None:
        """A text of so many tokens is finished."""
        self._tokens += tokens
        seconds = max(time.perf_counter() - self._begun, 1e-9)
        self._bar.set_postfix_str(f"{self._tokens / seconds:,.0f} tokens/s", refresh=False)
        self._bar.update(1)

    def close(self) -> None:
        """The phase is over."""
        self._bar.close()
