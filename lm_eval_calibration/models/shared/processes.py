"""Several processes, as `accelerate launch` starts them, for models that are not of transformers."""

from __future__ import annotations

import os
from typing import Any

import torch
from accelerate import Accelerator

from lm_eval_calibration.harness.api import LM


def joined(lm: Any) -> Any:
    """A model of transformers that answers its share, of all machines' processes; any other as it is.

    The harness's class parts documents only where a machine has several GPUs, and by a process's
    number on its machine: of two machines of eight, both would answer the first half of each sixteen.
    """
    accelerator: Any = getattr(lm, "accelerator", None)
    shares = getattr(accelerator, "num_processes", 1) > 1
    if shares and "HFLM" in {each.__name__ for each in type(lm).__mro__}:
        lm._rank, lm._world_size = accelerator.process_index, accelerator.num_processes
        lm._device = accelerator.device
    return lm


class ProcessesLM(LM):
    """A model whose documents the harness parts among the processes, where there are several."""

    def __init__(self) -> None:
        super().__init__()
        self.accelerator = Accelerator() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
        if self.accelerator is not None:
            self._rank = self.accelerator.process_index
            self._world_size = self.accelerator.num_processes
            self._device = self.accelerator.device

    def all_gather(self, tensor: Any) -> Any:
        """(..., world_size times as many) of all processes."""
        return tensor if self.accelerator is None else self.accelerator.gather(tensor)

    def gather_object(self, obj: Any, dst: int = 0) -> list[Any] | None:
        """Everyone's, in the process `dst`."""
        if self.accelerator is None:
            return [obj]
        found = [None] * self.world_size if self.rank == dst else None
        torch.distributed.gather_object(obj, found, dst=dst)
        return found

    def barrier(self) -> None:
        """Wait for the others."""
        if self.accelerator is not None:
            self.accelerator.wait_for_everyone()
