"""A trained member in a folder: a PEFT adapter (the mean), and beside it the posterior.

`adapter_model.safetensors` and `adapter_config.json` are the mean (SWA), for any tool that knows
PEFT; `map/` is the same of the best single weights. `swag.safetensors` has the moments and the
documents that were trained on, `swag.json` the rest. Several members are folders in a folder.
"""

from __future__ import annotations

import json
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

from lm_eval_calibration._version import __version__
from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.calibrators.prompt_format import of_config, to_config
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import write_text, write_whole
from lm_eval_calibration.swag.lora import Weights
from lm_eval_calibration.swag.moments import Moments
from lm_eval_calibration.swag.settings import Settings

ABOUT, MOMENTS, ADAPTER, ADAPTER_CONFIG = (
    "swag.json",
    "swag.safetensors",
    "adapter_model.safetensors",
    "adapter_config.json",
)
MAP, LOG = "map", "training.json"
MEMBER = "member-{}"
MEMBERS = "members.json"


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
    settings: Settings
    training: Training
    scale: float
    about: dict[str, Any] = field(default_factory=dict)
    log: list[dict[str, float]] = field(default_factory=list)

    @property
    def mean(self) -> Weights:
        """The SWA weights."""
        return self.moments.unflatten(self.moments.mean)

    def save(self, folder: Path) -> None:
        """Write it; `swag.json` comes last, and a folder without it is no member."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)
        _save_adapter(folder, self.mean, self.adapter)
        _save_adapter(folder / MAP, self.best, self.adapter)
        state = {name: tensor.numpy() for name, tensor in self.moments.state().items()}
        documents = np.unique(np.asarray(self.training.documents, dtype=np.uint64))
        del state["mean"]  # which the adapter is
        write_whole(
            folder / MOMENTS, lambda path: save_arrays({**state, "documents": documents}, path)
        )
        _write_json(folder / LOG, self.log)
        _write_json(folder / ABOUT, self._description())

    def _description(self) -> dict[str, Any]:
        return {
            "method": "swag",
            "lm_eval_calibration": __version__,
            "base_model": self.training.base_model,
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
    _write_json(folder / MEMBERS, {"members": names})


def is_member(folder: Path) -> bool:
    """Whether there is a whole member."""
    return (folder / ABOUT).is_file()


def load(folder: str | Path) -> list[Member]:
    """The members in a folder: one, if it is itself a member.

    Raises:
        InvalidInputError: there is none, one is missing or damaged, or they differ in their base
            model or layers.
    """
    path = Path(folder)
    if (path / MEMBERS).is_file():
        members = [_load(path / name) for name in _names(path / MEMBERS)]
    else:
        members = [_load(path)]
    _check_alike(members, path)
    return members


def _names(path: Path) -> list[str]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["members"]
        if not names or names != [MEMBER.format(i) for i in range(len(names))]:
            raise ValueError(f"members {names}")
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise _damaged(path, error) from error
    return [str(name) for name in names]


def _load(folder: Path) -> Member:
    for name in (ABOUT, MOMENTS, ADAPTER, ADAPTER_CONFIG):
        if not (folder / name).is_file():
            raise invalid(
                "swag",
                "a folder of `lm-calib fit swag`",
                f"`{folder}` without {name}",
                "Fit it again with the same --output to make what is missing.",
            )
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        adapter = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
        state = load_arrays(folder / MOMENTS)
        documents = state.pop("documents")
        settings = Settings(**about.pop("settings"))
        mean_weights = load_file(folder / ADAPTER)
        shapes = {name: tuple(tensor.shape) for name, tensor in mean_weights.items()}
        if about.pop("tensors") != {name: list(shape) for name, shape in shapes.items()}:
            raise ValueError(f"{ADAPTER} has other tensors than {ABOUT} says")
        moments = Moments(shapes, settings.rank)
        mean = moments.flatten(mean_weights)
        best = load_file(folder / MAP / ADAPTER)
        moments.flatten(best)  # of the same names and shapes
        moments.load({**{n: torch.from_numpy(a) for n, a in state.items()}, "mean": mean})
        training = Training(
            {str(task): int(count) for task, count in about.pop("tasks").items()},
            documents,
            str(about.pop("base_model")),
            str(about.pop("base_fingerprint")),
            of_config(about.pop("prompts", None)),
        )
        scale = float(about.pop("scale"))
        if moments.count < 2 or not scale >= 0:
            raise ValueError(f"{moments.count} snapshot(s), scale {scale}")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _damaged(folder, error) from error
    return Member(moments, best, adapter, settings, training, scale, about)


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


def _save_adapter(folder: Path, weights: Weights, config: dict[str, Any]) -> None:
    kept = {name: tensor.contiguous() for name, tensor in weights.items()}
    write_whole(folder / ADAPTER, lambda path: save_file(kept, path, {"format": "pt"}))
    _write_json(folder / ADAPTER_CONFIG, config)


def adapter_config(config: LoraConfig) -> dict[str, Any]:
    """What peft would write of it, ready for evaluation."""
    found = {**config.to_dict(), "inference_mode": True}
    return {k: sorted(v) if isinstance(v, set) else v for k, v in found.items()}


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2) + "\n")


def _damaged(path: Path, why: object) -> InvalidInputError:
    return InvalidInputError(
        f"`{path}` holds no posterior that can be read ({why}). Fit it again, or copy it again."
    )
