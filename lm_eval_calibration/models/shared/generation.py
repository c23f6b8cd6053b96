"""Who writes the texts of a transformers model: rows of our own where they are `hf`'s, else `hf`."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tqdm import tqdm

from lm_eval_calibration.generating.contract import Writer
from lm_eval_calibration.generating.decoding import UnusualError
from lm_eval_calibration.generating.rows import AskedText, Written
from lm_eval_calibration.generating.trying import begins, trials, tried
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.likeliest import ASKED
from lm_eval_calibration.models.shared.trust import Expected, named
from lm_eval_calibration.models.shared.writing import Texts
from lm_eval_calibration.scoring.checking import (
    agree,
    from_itself,
    named_lengths,
)
from lm_eval_calibration.scoring.sequences import Request

log = logger(f"lm_eval.{__name__}")

Told = Callable[[int, str, Written], None]
"""What is told each text, by the number of its request."""


@dataclass
class Way:
    """A way to write texts on one model.

    Attributes:
        kind: as messages name it.
        make: makes the writer; may raise whatever the model stumbles over.
        limit: up to how many tokens, prompts included, it may write; `None` for any.
        reason: why it may not write at all, if it may not.
        tried: the length up to which it was compared with `hf`.
        shared: whether it was compared on prompts that begin alike.
    """

    kind: str
    make: Callable[[], Writer]
    limit: int | None
    reason: str | None = None
    tried: int = 0
    shared: bool = False
    made: list[Writer] = field(default_factory=list)

    @property
    def writer(self) -> Writer:
        """Made when it is first needed."""
        if not self.made:
            self.made.append(self.make())
        return self.made[0]


class Generation:
    """Writes what requests ask for, in the first way that a trial allows; what is left is `hf`'s.

    Args:
        lm: a model of transformers in the harness's class.
        ways: the fastest first.
        expected: `hf`'s log-likelihoods of some requests.
        otherwise: the same computed in another shape, where the precision is such that they are others.

    Attributes:
        spent: texts that were written, and tokens of prompts and replies.
    """

    def __init__(
        self, lm: Any, ways: Sequence[Way], expected: Expected, otherwise: Expected | None = None
    ) -> None:
        self.lm, self.ways, self._expected, self._otherwise = lm, list(ways), expected, otherwise
        self._lengths = named_lengths(lm.model.config)
        self._said: set[str] = set()
        self.spent: Counter[str] = Counter()

    @property
    def reason(self) -> str | None:
        """Why nothing is written here, if nothing is."""
        reasons = [way.reason for way in self.ways] or ["encoder-decoder models are left to it"]
        lost = all(reason is not None for reason in reasons)
        return "; ".join(dict.fromkeys(map(str, reasons))) if lost else None

    def answer(
        self, requests: Sequence[Any], seed: Callable[[int], int], told: Told, quiet: bool
    ) -> None:
        """Write texts; those that `told` is not told are left to `hf`.

        Args:
            requests: (`Instance`) of prompts and settings.
            seed: of what is drawn for a request, by its number.
            told: called with each text as it is finished.
            quiet: no progress bar.
        """
        if self.reason is not None or not requests:
            self._tell(bool(requests))
            return
        texts = Texts(self.lm, ASKED)
        asked = self._asked(requests, texts, seed)
        call = _Call(texts, asked, told, Progress(len(requests), quiet), self.spent)
        try:
            for way in self.ways:
                share = self._share(way, {n: a for n, a in asked.items() if n not in call.done})
                if share:
                    self._write(way, call, share)
        finally:
            call.progress.close()
        self._tell(any(n not in call.done for n in asked))

    def _share(self, way: Way, waiting: Mapping[int, AskedText]) -> list[int]:
        """Numbers of the texts that a way may write, of those that no other has written."""
        share = [n for n, asked in waiting.items() if within(asked, way.limit)]
        self._earn(way, [waiting[n] for n in share])
        return share if way.reason is None else []

    def _lose(self, way: Way, why: str, error: Exception) -> None:
        """From now on others write."""
        way.reason = why

    def _asked(
        self, requests: Sequence[Any], texts: Texts, seed: Callable[[int], int]
    ) -> dict[int, AskedText]:
        """What may be written here, by number."""
        found: dict[int, AskedText] = {}
        for number, request in enumerate(requests):
            try:
                found[number] = texts.asked(request, seed(number))
            except UnusualError as unusual:
                self._say(f"hf-fast leaves texts that are asked for so to hf: {unusual}.", log.info)
        return found

    def _write(self, way: Way, call: _Call, numbers: Sequence[int]) -> None:
        """Have texts written; where the model fails, the rest is left to the next way."""
        self._say(f"hf-fast generates by {way.kind}.", log.info)
        try:
            with self.lm._autocast():
                some = [call.asked[n] for n in numbers]
                way.writer.write(some, lambda place, text: call.finish(numbers[place], text))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            if call.failed:  # (no fault of the model's)
                raise
            self._lose(way, f"the model failed on {way.kind} ({named(error)})", error)

    def _earn(self, way: Way, asked: Sequence[AskedText]) -> None:
        """Try a way on the first texts, and where later ones reach a length that may be special."""
        most = max((len(a.prompt) + a.room for a in asked), default=0)
        reached = any(way.tried < length < most for length in self._lengths)
        alike = any(begins(a.prompt) for a in asked)
        new = not way.tried or reached or (alike and not way.shared)
        if way.reason is not None or not asked or not new:
            return
        try:
            some = trials(asked, self._lengths, self.lm.max_length)
            agreed = self._agrees(way.writer, some)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
            way.reason = f"the model does not take {way.kind} ({named(error)})"
            return
        way.tried, way.shared = max(way.tried, most), way.shared or alike
        if not agreed:
            way.reason = f"{way.kind} and separate texts disagree on this architecture"

    def _agrees(self, writer: Writer, some: Sequence[Sequence[AskedText]]) -> bool:
        """Whether what is written is as likely as `hf` finds it."""
        requests: list[Request] = []
        ours: list[float] = []
        with self.lm._autocast():
            dtype = writer.dtype
            for each in some:
                asked, values = tried(writer, each)
                requests, ours = requests + asked, ours + values
        different = list({(tuple(r.context), tuple(r.continuation)): r for r in requests}.values())
        known = self._expected(different)
        noise = None
        if self._otherwise:
            others = self._otherwise(different)
            noise = from_itself(self.lm.model.config, different, known, others)
        theirs = [known[different.index(request)] for request in requests]
        return agree(requests, ours, theirs, dtype, noise)

    def _tell(self, some_are_left: bool) -> None:
        """Once, that `hf` generates, and why."""
        if some_are_left and self.reason is not None:
            self._say(f"hf-fast generates as slowly as hf: {self.reason}.")
        elif some_are_left:
            self._say(
                "hf-fast generates the longest texts as slowly as hf: there this architecture computes "
                "something else of several together."
            )

    def _say(self, text: str, say: Callable[..., None] = log.warning) -> None:
        if text not in self._said:
            self._said.add(text)
            say("%s", text)


class _Call:
    """One call's texts: which are done, and whether who is told of them failed."""

    def __init__(
        self,
        texts: Texts,
        asked: dict[int, AskedText],
        told: Told,
        progress: Progress,
        spent: Counter[str],
    ) -> None:
        self.texts, self.asked, self.told, self.progress = texts, asked, told, progress
        self.spent = spent
        self.done: set[int] = set()
        self.failed = False

    def finish(self, number: int, written: Written) -> None:
        """Hand on a finished text."""
        self.progress.add(len(written.tokens))
        self.spent["requests"] += 1
        self.spent["prompt_tokens"] += len(self.asked[number].prompt)
        self.spent["completion_tokens"] += len(written.tokens)
        try:
            self.told(number, self.texts.text(self.asked[number], written.tokens), written)
        except BaseException:
            self.failed = True
            raise
        self.done.add(number)


def within(asked: AskedText, limit: int | None) -> bool:
    """Whether a text has at most so many tokens, its prompt included."""
    return limit is None or len(asked.prompt) + asked.room <= limit


class InOrder:
    """Hands on texts, those of equal requests in the requests' order: by that they are told apart.

    Args:
        keys: equal for equal requests.
        told: what is told each text.
    """

    def __init__(self, keys: Sequence[str], told: Told) -> None:
        self._keys, self._told = keys, told
        self._waiting: dict[str, deque[int]] = defaultdict(deque)
        for number, key in enumerate(keys):
            self._waiting[key].append(number)
        self._ready: dict[int, tuple[str, Written]] = {}

    def __call__(self, number: int, text: str, written: Written) -> None:
        """Take a text, and hand on those for which nothing has to be waited any more."""
        self._ready[number] = (text, written)
        waiting = self._waiting[self._keys[number]]
        while waiting and waiting[0] in self._ready:
            first = waiting.popleft()
            self._told(first, *self._ready.pop(first))


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
