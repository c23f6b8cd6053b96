"""Which of a model's layers LoRA is put on where nobody says: the attention projections of any family."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as KNOWN

_FUSED = {"out_proj", "conv1d", "dt_proj"}
"""Of recurrent layers: fused kernels, and Mamba's own code, read their weights and pass LoRA by."""
_ATTENTION = re.compile(r"[Aa]ttention|[Aa]ttn|MLA")
_QUERY_OR_VALUE = re.compile(
    r"(?:^|_)(?:q|v|qv|kv|qkv|query|value)(?:_|$)|query_key_value|wqkv|qkv|^c_attn$|^wq$|^wv$",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(r"(?:^|\.)(?:vision|visual|audio|image|speech|encoder)", re.IGNORECASE)


class Targets(NamedTuple):
    """Names as peft takes them, and in words where they come from."""

    names: list[str]
    said: str


def targets_of(model: Any) -> Targets:
    """The layers to adapt of a transformers model.

    peft's own table where it has the model's family; else the projections to queries and values (or to
    both at once) of its attention, in the text model of one that also sees or hears; else its linear layers.
    """
    kind = str(getattr(model.config, "model_type", ""))
    leaves = {name.rpartition(".")[2] for name, _ in _linear_layers(model)}
    if set(KNOWN.get(kind) or ["?"]) <= leaves:
        return Targets(list(KNOWN[kind]), f"{', '.join(KNOWN[kind])}, as peft has it for {kind}")
    found = dict(_attention_layers(model))
    chosen = {name: leaf for name, leaf in found.items() if _QUERY_OR_VALUE.search(leaf)} or found
    if not chosen:
        head = model.get_output_embeddings()
        linear = {n.rpartition(".")[2] for n, m in _linear_layers(model) if m is not head}
        names = sorted(linear - _FUSED or linear)
        return Targets(names, f"{', '.join(names)}, for no attention was found in it")
    names = sorted(set(chosen.values()))
    alike = {name for name, _ in _linear_layers(model) if name.rpartition(".")[2] in names}
    said = f"{', '.join(names)} of its attention"
    return Targets(names if alike <= set(chosen) else sorted(chosen), said)


def _attention_layers(model: Any) -> Iterator[tuple[str, str]]:
    """Linear layers that stand in a module of attention: in full, and their own names."""
    inside = [
        name
        for name, module in model.named_modules()
        if name and _ATTENTION.search(type(module).__name__) and not _ELSEWHERE.search(name)
    ]
    for name, _ in _linear_layers(model):
        if any(name.startswith(f"{outer}.") for outer in inside):
            yield name, name.rpartition(".")[2]


def _linear_layers(model: Any) -> Iterator[tuple[str, Any]]:
    """Modules that multiply by a matrix, by their full names, quantised ones too."""
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        kind = type(module).__name__
        matrix = weight is not None and weight.ndim > 1
        if name and matrix and ("Linear" in kind or kind == "Conv1D"):
            yield name, module
