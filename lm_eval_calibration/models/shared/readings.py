"""`Readings`: what a thermometer reads at the end of each prompt, as passes of a model show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.calibrators.thermometer import Thermometer
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.models.shared.instances import OptionsDocument
from lm_eval_calibration.models.shared.resuming import Computed
from lm_eval_calibration.scoring.contract import Answers


class Readings:
    """The inverse temperature of each of D documents by itself.

    That of a document comes from the pass of its first request, and is kept at once.

    Args:
        thermometer: which reads.
        requests: of the harness.
        asked: the documents that they ask about.
        kept: what was read before, and where more is kept.

    Attributes:
        inverse: (D,) inverse temperatures, NaN where nothing has been read.
    """

    def __init__(
        self,
        thermometer: Thermometer,
        requests: Sequence[Any],
        asked: Sequence[OptionsDocument],
        kept: Computed,
    ) -> None:
        self._thermometer, self._asked, self._kept = thermometer, asked, kept
        self._row = {document.options[0][0]: i for i, document in enumerate(asked)}
        self._first = [requests[number].args for number in self._row]
        self.inverse = np.full(len(asked), np.nan)
        for i, value in kept.known(self._first).items():
            self.inverse[i] = value

    @property
    def unread(self) -> list[int]:
        """The numbers of the requests whose passes have something to read."""
        return [number for number, i in self._row.items() if np.isnan(self.inverse[i])]

    def of(self, numbers: Sequence[int]) -> Callable[[Answers], None]:
        """What reads the passes of requests with these numbers.

        Raises (when it is called):
            CalibrationError: a hidden state is NaN or infinite.
        """

        def observe(found: Answers) -> None:
            passed = [numbers[place] for place in found.requests]
            places = [place for place, number in enumerate(passed) if number in self._row]
            which = [self._row[passed[place]] for place in places]
            if places:
                states = found.hidden[places].float().cpu().numpy()
                self._check(states, which)
                self.inverse[which] = self._thermometer.inverse_temperatures(states)
                self._kept.keep({self._first[i]: float(self.inverse[i]) for i in which})

        return observe

    def _check(self, states: np.ndarray, which: Sequence[int]) -> None:
        bad = ~np.isfinite(states).all(axis=1)
        if bad.any():
            task = self._asked[which[int(bad.argmax())]].task
            raise CalibrationError(
                f"Task `{task}`: a hidden state is NaN or infinite. float16 overflows in some models: load "
                "it in bfloat16 or float32."
            )
