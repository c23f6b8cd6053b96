"""What every writer promises: texts that are asked for, told as they are finished."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch

from lm_eval_calibration.generating.rows import AskedText, Written
from lm_eval_calibration.messages import logger
from lm_eval_calibration.scoring.contract import device_of, dtype_of

log = logger(f"lm_eval.{__name__}")

Done = Callable[[int, Written], None]
"""What is told each finished text, by the number of what was asked for."""


class Writer(ABC):
    """Writes texts with a causal model of transformers, many at a time.

    Args:
        model: in evaluation mode.
        prompt_tokens: of prompts, read at a time.
        rows: texts written at a time, at most; `None`: as many as memory has room for and are worth it.

    Raises:
        TypeError, AttributeError: the model cannot be computed so.
    """

    def __init__(self, model: Any, prompt_tokens: int, rows: int | None = None) -> None:
        self.model, self.prompt_tokens, self.rows = model, prompt_tokens, rows

    @property
    def device(self) -> torch.device:
        """Where the model reads tokens."""
        return device_of(self.model)

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in, under autocast too."""
        return dtype_of(self.model)

    @abstractmethod
    def write(self, asked: Sequence[AskedText], done: Done) -> None:
        """Write all texts; `done` is told each as it is finished.

        Raises:
            torch.OutOfMemoryError: there is no room for one.
        """

    def halved(self, rows: int) -> None:
        """From now on half as many rows, of which memory ran out, are written at a time."""
        self.rows = max(rows // 2, 1)
        self.prompt_tokens = max(self.prompt_tokens // 2, 1)
        log.warning("hf-fast: memory ran out; it goes on with %d texts at a time.", self.rows)
