"""Which ways may write where a text may hang on nothing but its own request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.generating.contract import Writer
from lm_eval_calibration.generating.rows import AskedText, Written
from lm_eval_calibration.generating.stops import Stops
from lm_eval_calibration.generating.trying import GREEDY, SAMPLED
from lm_eval_calibration.models.shared.generation import Generation, Way, log, within
from lm_eval_calibration.models.shared.made_up import REPLY, TRYING, MadeUp
from lm_eval_calibration.models.shared.trust import Expected, named


class FixedGeneration(Generation):
    """Writes in ways that are tried on prompts made up for the model, not on the run's own.

    Args:
        lm: a model of transformers in the harness's class.
        ways: the fastest first.
        expected: as `Generation` has it.
        otherwise: as `Generation` has it.
        made_up: what the ways are tried on.
    """

    def __init__(
        self,
        lm: Any,
        ways: Sequence[Way],
        expected: Expected,
        otherwise: Expected | None,
        made_up: MadeUp,
    ) -> None:
        super().__init__(lm, ways, expected, otherwise)
        self._made_up = made_up
        self._found: dict[tuple[int, int], str | None] = {}

    def _share(self, way: Way, waiting: Mapping[int, AskedText]) -> list[int]:
        """Each text's first way is asked for by its length alone."""
        return [number for number, asked in waiting.items() if self._may(way, asked)]

    def _may(self, way: Way, asked: AskedText) -> bool:
        levels = self._made_up.levels(len(asked.prompt) + asked.room)
        return within(asked, way.limit) and all(self._verdict(way, n) is None for n in levels)

    def _verdict(self, way: Way, level: int) -> str | None:
        """What speaks against a way at a level, if anything does."""
        key = (self.ways.index(way), level)
        if key not in self._found:
            self._found[key] = why = way.reason or self._tried(way, level)
            if level == 0:
                way.reason = why
        return self._found[key]

    def _tried(self, way: Way, level: int) -> str | None:
        self._say(TRYING, log.info)
        prompts = self._made_up.prompts(level)
        some = [_asked(prompt, n) for n, prompt in enumerate([*prompts, *prompts[:1]])]
        if not some:
            return None
        try:
            if not self._agrees(way.writer, [[a for a in some if not a.decoding.sampled]]):
                return f"{way.kind} and separate texts disagree on this architecture"
            with self.lm._autocast():
                return self._of_company(way, some)
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
            return f"the model does not take {way.kind} ({named(error)})"

    def _of_company(self, way: Way, some: Sequence[AskedText]) -> str | None:
        """Why a way's texts are not a request's own: others than in other company."""
        numbers = range(len(some))
        whole = _texts(way.writer, some, numbers[::-1])
        if any(whole[n] != text for n, text in _texts(way.writer, some, numbers[::2]).items()):
            return f"{way.kind} are written otherwise in other company on this architecture"
        return None

    def _lose(self, way: Way, why: str, error: Exception) -> None:
        """Who went on would hang on what was asked."""
        raise CalibrationError(f"`reproducible`: {why}.") from error


def _asked(prompt: Sequence[int], number: int) -> AskedText:
    """Every third of them is drawn."""
    decoding = SAMPLED if number % 3 == 2 else GREEDY
    return AskedText(prompt, decoding, Stops.none(), REPLY - number % 2, seed=number, told=True)


def _texts(
    writer: Writer, asked: Sequence[AskedText], numbers: Sequence[int]
) -> dict[int, Written]:
    found: dict[int, Written] = {}
    writer.write([asked[n] for n in numbers], found.__setitem__)
    return {n: found[place] for place, n in enumerate(numbers)}
