"""A trained member in a folder: a PEFT adapter (the mean), and beside it the posterior.

`adapter_model.safetensors` and `adapter_config.json` are the mean (SWA), for any tool that knows
PEFT; `map/` is the same of the best single weights. `swag.safetensors` has the moments and the
documents that were trained on, `swag.json` the rest. Several members are folders in a folder.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from lm_eval_calibration.arguments import built
from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.calibrators.validity import (
    LARGEST_PARAMETER,
    counts,
    finite,
    hashes,
    text,
    why,
)
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import (
    JSON,
    TENSORS,
    FileFormat,
    beside,
    claim_folder,
    write_json,
    write_tensors,
    write_text,
)
from lm_eval_calibration.files.folders import kind_of
from lm_eval_calibration.json_text import read_object
from lm_eval_calibration.prompt_format import of_config, to_config
from lm_eval_calibration.redact import redact
from lm_eval_calibration.swag.lora import Weights
from lm_eval_calibration.swag.moments import Moments, Shapes
from lm_eval_calibration.swag.settings import SwagSettings

ABOUT, MOMENTS, ADAPTER, ADAPTER_CONFIG = (
    "swag.json",
    "swag.safetensors",
    "adapter_model.safetensors",
    "adapter_config.json",
)
MAP, LOG = "map", "training.json"
MEMBER = "member-{}"
MEMBERS = "members.json"
METHOD = "swag"
ADAPTER_FILES: dict[str, FileFormat] = {ADAPTER: TENSORS, ADAPTER_CONFIG: beside(ADAPTER, TENSORS)}
FILES: dict[str, FileFormat] = {
    **ADAPTER_FILES,
    **{f"{MAP}/{name}": format_ for name, format_ in ADAPTER_FILES.items()},
    MOMENTS: TENSORS,
    LOG: JSON,
    ABOUT: JSON,
    MEMBERS: JSON,
}
"""Names and formats of what is written, of one member or of several."""
READING: tuple[type[Exception], ...] = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    OSError,
    RuntimeError,
    SafetensorError,
)
"""What files that nobody wrote on purpose raise."""
BEYOND_LORA = ("auto_mapping", "layer_replication", "megatron_config", "modules_to_save")
"""Of peft's settings those that add other things to a model than our training does."""


@dataclass
class Member:
    """One training's posterior.

    Attributes:
        moments: of its snapshots.
        best: the single weights with the lowest validation loss (MAP).
        adapter: peft's configuration of the LoRA layers.
        settings: it was trained with.
        training: tasks and documents, the base model's name and fingerprint.
        scale: of the covariance, chosen on validation documents or given.
        about: how training went, in a few figures.
        log: the same step by step; written, and not read again.
    """

    moments: Moments
    best: Weights
    adapter: dict[str, Any]
    settings: SwagSettings
    training: Training
    scale: float
    about: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, float]] = field(default_factory=list)

    @property
    def mean(self) -> Weights:
        """The SWA weights."""
        return self.moments.unflatten(self.moments.mean)

    def save(self, folder: Path) -> None:
        """Write it; `swag.json` comes last, and a folder without it is no member.

        Raises:
            OutputError: something else stands there, or the folder cannot be written to.
        """
        claim_folder(folder, METHOD, FILES)
        (folder / ABOUT).unlink(missing_ok=True)
        save_adapter(folder, self.mean, self.adapter)
        save_adapter(folder / MAP, self.best, self.adapter)
        state = {name: tensor.numpy() for name, tensor in self.moments.state().items()}
        documents = np.unique(np.asarray(self.training.documents, dtype=np.uint64))
        del state["mean"]  # which the adapter is
        write_tensors(folder / MOMENTS, save_arrays, {**state, "documents": documents})
        write_json(folder / LOG, {"steps": self.log})
        write_json(folder / ABOUT, self._description())

    def _description(self) -> dict[str, Any]:
        return {
            "method": METHOD,
            "base_model": redact(self.training.base_model),
            "base_fingerprint": self.training.fingerprint,
            "tasks": self.training.tasks,
            "prompts": to_config(self.training.prompts),
            "snapshots": self.moments.count,
            "scale": self.scale,
            "settings": asdict(self.settings),
            "tensors": {name: list(shape) for name, shape in self.moments.shapes.items()},
            **self.about,
        }


def save_index(folder: Path, members: int) -> None:
    """Say in `folder` how many members are in it."""
    names = [MEMBER.format(number) for number in range(members)]
    write_json(folder / MEMBERS, {"method": METHOD, "members": names})


def is_member(folder: Path) -> bool:
    """Whether there is a whole member."""
    return os.path.isfile(folder / ABOUT)


def load(folder: str | Path) -> list[Member]:
    """The members in a folder: one, if it is itself a member.

    Raises:
        InvalidInputError: there is none, one is missing or damaged, or they differ in their base
            model or layers.
    """
    path = Path(folder)
    if os.path.isfile(path / MEMBERS):
        members = [_load(path / name) for name in _names(path / MEMBERS)]
    else:
        members = [_load(path)]
    _check_alike(members, path)
    return members


def _names(path: Path) -> list[str]:
    try:
        names = read_object(path)["members"]
        if not names or names != [MEMBER.format(i) for i in range(len(names))]:
            raise ValueError(f"members {names}")
    except READING as error:
        raise _damaged(path, why(error)) from error
    return [str(name) for name in names]


def _load(folder: Path) -> Member:
    for name in (ABOUT, MOMENTS, ADAPTER, ADAPTER_CONFIG):
        if not os.path.isfile(folder / name):
            raise invalid(
                "swag",
                "a folder of `lm-calib fit swag`",
                f"`{folder}` without {name}",
                "Fit it again with the same --output to make what is missing."
                if kind_of(folder) == METHOD
                else "",
            )
    try:
        return _read(folder)
    except READING as error:
        raise _damaged(folder, why(error)) from error


def _read(folder: Path) -> Member:
    about, adapter = read_object(folder / ABOUT), read_object(folder / ADAPTER_CONFIG)
    state = load_arrays(folder / MOMENTS)
    documents = hashes(state.pop("documents"))
    settings = built(SwagSettings, about.pop("settings"))
    mean_weights = load_file(folder / ADAPTER)
    shapes = {name: tuple(tensor.shape) for name, tensor in mean_weights.items()}
    if about.pop("tensors") != {name: list(shape) for name, shape in shapes.items()}:
        raise ValueError(f"{ADAPTER} has other tensors than {ABOUT} says")
    moments = Moments(shapes, settings.rank)
    mean = moments.flatten(mean_weights)
    best = load_file(folder / MAP / ADAPTER)
    moments.flatten(best)  # of the same names and shapes
    moments.load({**{n: torch.from_numpy(a) for n, a in state.items()}, "mean": mean})
    _check_adapter(adapter, moments.shapes)
    _check_moments(moments, best, about.get("snapshots"))
    training = Training(
        counts(about.pop("tasks")),
        documents,
        text(about, "base_model"),
        text(about, "base_fingerprint"),
        of_config(about.pop("prompts", None)),
    )
    scale = _number("scale", about.pop("scale"))
    about = {k: v for k, v in about.items() if k not in ("base_model", "base_fingerprint")}
    return Member(moments, best, adapter, settings, training, scale, about)


def _check_adapter(adapter: dict[str, Any], shapes: Shapes) -> None:
    """Refuse a configuration of anything but LoRA layers, or of other ones than the weights'."""
    targets, rank = adapter["target_modules"], adapter["r"]
    if not isinstance(targets, list) or not all(isinstance(name, str) for name in targets):
        raise invalid("target_modules", "a list of names", repr(targets)[:80])
    rows = {shape[0] for name, shape in shapes.items() if ".lora_A." in name}
    if type(rank) is not int or rows - {rank}:
        raise invalid("r", f"{', '.join(map(str, rows))}, as of the weights", repr(rank)[:80])
    _number("lora_alpha", adapter.get("lora_alpha", 1))
    if _number("lora_dropout", adapter.get("lora_dropout", 0)) >= 1:
        raise invalid("lora_dropout", "below 1", adapter["lora_dropout"])
    more = [name for name in BEYOND_LORA if adapter.get(name) is not None]
    if adapter.get("peft_type", "LORA") != "LORA" or more:
        raise invalid(
            ADAPTER_CONFIG, "of LoRA layers and nothing more", ", ".join(more) or "others"
        )
    LoraConfig(**adapter)


def _check_moments(moments: Moments, best: Weights, snapshots: Any) -> None:
    """Refuse moments that no snapshots have."""
    arrays = {**best, **moments.state()}
    count = arrays.pop("count")
    finite({name: tensor.float().numpy() for name, tensor in arrays.items()})
    if moments.count < 2 or snapshots != moments.count or count.ndim:
        raise invalid(
            "snapshots", "at least 2, as of the moments", f"{snapshots!r}, {moments.count}"
        )
    if (moments.squares < 0).any():
        raise invalid("squares", "0 or more", f"{float(moments.squares.min()):g}")


def _number(name: str, told: Any) -> float:
    if (
        isinstance(told, bool)
        or not isinstance(told, (int, float))
        or not 0 <= told < LARGEST_PARAMETER
    ):
        raise invalid(name, "a number, 0 or more", repr(told)[:80])
    return float(told)


def _check_alike(members: Sequence[Member], folder: Path) -> None:
    first = members[0]
    for number, member in enumerate(members):
        same = (
            member.moments.shapes == first.moments.shapes
            and member.training.fingerprint == first.training.fingerprint
        )
        if not same:
            raise InvalidInputError(
                f"`{folder}`: member {number} is of another base model, or of other layers, than "
                "member 0. Fit them together, with --members."
            )


def save_adapter(folder: Path, weights: Weights, config: dict[str, Any]) -> None:
    """Write weights as a PEFT adapter.

    Raises:
        OutputError: the folder cannot be written to.
    """
    kept = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_tensors(folder / ADAPTER, save_file, kept, {"format": "pt"})
    text = json.dumps(config, indent=2) + "\n"
    write_text(folder / ADAPTER_CONFIG, text, ADAPTER_FILES[ADAPTER_CONFIG])


def adapter_config(config: LoraConfig) -> dict[str, Any]:
    """What peft would write of it, ready for evaluation."""
    found = {**config.to_dict(), "inference_mode": True}
    return {k: sorted(v) if isinstance(v, set) else v for k, v in found.items()}


def _damaged(path: Path, why: object) -> InvalidInputError:
    return InvalidInputError(
        f"`{path}` holds no posterior that can be read ({why}). Fit it again, or copy it again."
    )
