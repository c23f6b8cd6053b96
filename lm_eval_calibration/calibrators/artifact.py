"""A fitted thing in a folder: `config.json` and `model.safetensors`, and what it was fitted on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lm_eval_calibration._version import __version__
from lm_eval_calibration.calibrators.prompt_format import PromptFormat, of_config, to_config
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import write_text, write_whole

CONFIG, TENSORS = "config.json", "model.safetensors"
SEEN = "documents"
DIGEST = "tensors_sha256"
Tensors = dict[str, NDArray[Any]]
A = TypeVar("A", bound="Artifact")


@dataclass(frozen=True)
class Training:
    """What an artifact was fitted on.

    Attributes:
        tasks: names, and how many documents of each.
        documents: (N,) the first 64 bits of the harness's hash of each document.
        base_model: name of the model whose beliefs or hidden states they were, or "".
        fingerprint: of that model's weights, or "".
        prompts: how documents were put to it, by task, as far as that is known.
    """

    tasks: dict[str, int] = field(default_factory=dict)
    documents: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    base_model: str = ""
    fingerprint: str = ""
    prompts: Mapping[str, PromptFormat] = field(default_factory=dict)

    def seen(self, documents: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(M,) which of some documents it was fitted on."""
        return np.isin(documents, self.documents)


class Artifact(ModelHubMixin):
    """Base of what is fitted: `save_pretrained`, `from_pretrained` and `push_to_hub`.

    Attributes:
        training: what it was fitted on.
    """

    training: Training

    @property
    def method(self) -> str:
        """Its kind, as the command line names it."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What stands in `config.json` beside method and training."""
        raise NotImplementedError

    def tensors(self) -> Tensors:
        """What stands in `model.safetensors`."""
        raise NotImplementedError

    @classmethod
    def restore(cls: type[A], config: dict[str, Any], tensors: Tensors, training: Training) -> A:
        """The artifact that `describe` and `tensors` speak of."""
        raise NotImplementedError

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """A short README for the folder."""
        tasks = ", ".join(f"{name} ({count})" for name, count in self.training.tasks.items())
        return ModelCard(
            f"---\nlibrary_name: lm-eval-calibration\ntags: [calibration]\n---\n\n"
            f"# {self.method}, for {self.training.base_model or 'any model'}\n\n"
            f"Fitted by lm-eval-calibration {__version__} on: {tasks or 'unknown tasks'}.\n"
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        documents = np.unique(np.asarray(self.training.documents, dtype=np.uint64))
        tensors = {**self.tensors(), SEEN: documents}
        write_whole(save_directory / TENSORS, lambda partial: save_file(tensors, partial))
        config = {
            "method": self.method,
            "lm_eval_calibration": __version__,
            "base_model": self.training.base_model,
            "base_fingerprint": self.training.fingerprint,
            "tasks": self.training.tasks,
            "prompts": to_config(self.training.prompts),
            **self.describe(),
            DIGEST: _digest(save_directory / TENSORS),
        }
        write_text(save_directory / CONFIG, json.dumps(config, indent=2) + "\n")

    @classmethod
    def from_pretrained(cls: type[A], folder: Any, **hub: Any) -> A:  # type: ignore[override]
        """The artifact of a folder, or of a repository on the hub.

        Raises:
            InvalidInputError: there is none, it is damaged, or it is of another kind.
        """
        return cls._from_pretrained(model_id=str(folder), **hub)

    @classmethod
    def _from_pretrained(cls: type[A], *, model_id: str, **hub: Any) -> A:
        config, tensors, training = read(model_id, **hub)
        try:
            return cls.restore(config, tensors, training)
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise _damaged(model_id, f"{type(error).__name__}: {error}") from error


def read(name: str, **hub: Any) -> tuple[dict[str, Any], Tensors, Training]:
    """Configuration, tensors and training of the artifact in a folder or on the hub.

    Raises:
        InvalidInputError: files are missing or damaged.
    """
    config_file, tensor_file = (_file(name, part, **hub) for part in (CONFIG, TENSORS))
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
        if config.get(DIGEST, digest := _digest(tensor_file)) != digest:
            raise ValueError(f"{TENSORS} is not the one that {CONFIG} speaks of")
        tensors = load_file(tensor_file)
        training = Training(
            {str(task): int(count) for task, count in config["tasks"].items()},
            tensors.pop(SEEN),
            str(config["base_model"]),
            str(config["base_fingerprint"]),
            of_config(config.get("prompts")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from error
    return config, tensors, training


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _file(name: str, part: str, **hub: Any) -> Path:
    folder = Path(name)
    if folder.is_dir():
        if not (folder / part).is_file():
            raise invalid(
                "calibrator",
                f"a folder with {CONFIG} and {TENSORS}",
                f"`{name}` without {part}",
                "Make one with `lm-calib fit ... --output FOLDER`.",
            )
        return folder / part
    try:
        return Path(hf_hub_download(name, part, **hub))
    except (OSError, ValueError) as error:  # the hub's own errors are of these kinds
        raise invalid(
            "calibrator",
            "a folder, or the name of a repository on the hub",
            f"`{name}`, which is neither ({type(error).__name__})",
        ) from error


def _damaged(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"`{name}` holds no calibrator that can be read ({why}). Fit it again, or copy it again."
    )
