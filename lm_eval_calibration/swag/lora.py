"""LoRA weights in a model: put there by peft, read and overwritten by their names in its files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.swag.settings import SwagSettings
from lm_eval_calibration.swag.targets import targets_of

ADAPTER = "default"
OURS = ("r", "lora_alpha", "lora_dropout", "target_modules", "bias", "task_type")
Weights = dict[str, torch.Tensor]


def adapt(model: Any, settings: SwagSettings, seed: int) -> PeftModel:
    """The model with fresh LoRA weights (float32), the only ones that can be trained.

    Args:
        model: a transformers causal model; its layers are replaced in place.
        settings: which layers, and of what rank.
        seed: of the weights.

    Raises:
        InvalidInputError: the model has no layers of those names.
    """
    named = [name.strip() for name in settings.target_modules.split(",") if name.strip()]
    targets = named or targets_of(model).names
    config = LoraConfig(
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            return attach(model, config)
        except ValueError as error:
            raise invalid(
                "--target_modules",
                "names of the model's linear layers, e.g. q_proj,v_proj",
                f"`{settings.target_modules or targets}` ({error})",
            ) from error


def config_of(told: Mapping[str, Any]) -> LoraConfig:
    """The configuration of an adapter's file, as far as `adapt` sets it.

    Whatever else a file may say (of modules to import, of weights to compute anew) is not heeded.

    Raises:
        InvalidInputError: it is no configuration of LoRA layers.
    """
    try:
        return LoraConfig(**{name: told[name] for name in OURS}, inference_mode=True)
    except (KeyError, TypeError, ValueError) as error:
        raise invalid(
            "adapter_config.json", "the one that `lm-calib fit swag` wrote", repr(error)
        ) from error


def attach(model: Any, config: LoraConfig) -> PeftModel:
    """The model with the LoRA layers of a configuration."""
    with warnings.catch_warnings():  # peft 0.21 asks transformers 5 an outdated question
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model, config)


def parameters(model: PeftModel) -> dict[str, torch.nn.Parameter]:
    """The LoRA weights by the names that they have in an adapter's file."""
    return {
        name.replace(f".{ADAPTER}.", "."): parameter
        for name, parameter in model.named_parameters()
        if f".{ADAPTER}." in name and ".lora_" in name
    }


def weights(model: PeftModel) -> Weights:
    """A copy of the LoRA weights, float32 on the CPU."""
    return {
        name: parameter.detach().to(device="cpu", dtype=torch.float32, copy=True)
        for name, parameter in parameters(model).items()
    }


@torch.no_grad()
def put(model: PeftModel, new: Mapping[str, torch.Tensor]) -> None:
    """Overwrite the LoRA weights.

    Raises:
        InvalidInputError: `new` is of other layers, or of another rank.
    """
    there = parameters(model)
    odd = sorted(set(there) ^ set(new))
    if odd:
        raise invalid("weights", "of the layers that are adapted", f"`{odd[0]}`, new or missing")
    for name, parameter in there.items():
        if parameter.shape != new[name].shape:
            raise invalid(name, f"of shape {tuple(parameter.shape)}", tuple(new[name].shape))
        parameter.copy_(new[name])


@contextmanager
def dropout(model: PeftModel, seed: int) -> Iterator[None]:
    """LoRA's dropout switched on, with noise of its own, in a model that is evaluated otherwise."""
    layers = [m for n, m in model.named_modules() if ".lora_dropout." in f".{n}."]
    devices = list({p.device for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        for layer in layers:
            layer.train()
        try:
            yield
        finally:
            for layer in layers:
                layer.eval()
