"""What an engine may be started with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class EngineArgs:
    """As far as it is asked for."""

    enable_lora: bool = False
    max_lora_rank: int = 16
    lora_target_modules: list[str] | None = None
