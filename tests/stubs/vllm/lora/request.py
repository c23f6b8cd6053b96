"""An adapter to load."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class LoRARequest:
    """Its name, number and folder."""

    lora_name: str
    lora_int_id: int
    lora_path: str
