"""Which adapter a request is answered with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LoRARequest:
    """By vLLM's names."""

    lora_name: str
    lora_int_id: int
    lora_path: str
