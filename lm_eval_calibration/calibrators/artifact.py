"""A fitted thing in a folder: `config.json` and `model.safetensors`, and what it was fitted on."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from huggingface_hub import ModelCard, ModelHubMixin, hf_hub_download
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save

from lm_eval_calibration._version import __version__
from lm_eval_calibration.calibrators.validity import counts, hashes, text, why
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import (
    JSON,
    KEY,
    MODEL_CARD,
    FileFormat,
    claim_folder,
    stamped,
    write_json,
    write_text,
    write_whole,
)
from lm_eval_calibration.files import TENSORS as TENSOR_FILE
from lm_eval_calibration.json_text import loads, read_object
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.messages import logger
from lm_eval_calibration.prompt_format import PromptFormat, of_config, to_config
from lm_eval_calibration.redact import redact

CONFIG, TENSORS, CARD = "config.json", "model.safetensors", "README.md"
FILES = {CONFIG: JSON, TENSORS: TENSOR_FILE}
SEEN = "documents"
DIGEST = "tensors_sha256"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
"""What a repository on the hub may be called; anything else is not asked for there."""
Tensors = dict[str, NDArray[Any]]
log = logger(f"lm_eval.{__name__}")
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
        label_free: whether no label was read, whatever the method.
    """

    tasks: dict[str, int] = field(default_factory=dict)
    documents: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    base_model: str = ""
    fingerprint: str = ""
    prompts: Mapping[str, PromptFormat] = field(default_factory=dict)
    label_free: bool = False

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
            f"# {self.method}, for {redact(self.training.base_model) or 'any model'}\n\n"
            f"Fitted by lm-eval-calibration {__version__} on: {tasks or 'unknown tasks'}.\n"
        )

    @classmethod
    def files(cls) -> dict[str, FileFormat]:
        """Names and formats of what `save_pretrained` writes."""
        return dict(FILES)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        overwrite: bool = False,
        push_to_hub: bool = False,
        repo_id: str | None = None,
        **hub: Any,
    ) -> str | None:
        """Write it into a folder: a new one, or that of an artifact of the same method.

        The tensors hold a copy of the configuration, so that an artifact is replaced at once, when
        they are.

        Args:
            save_directory: the folder.
            overwrite: whether an artifact of another method may be replaced.
            push_to_hub: upload it, too.
            repo_id: of the upload; by default the folder's name.
            **hub: as `push_to_hub` takes them.

        Returns:
            The commit's address, of an upload.

        Raises:
            OutputError: something else stands there, or the folder cannot be written to.
        """
        folder = claim_folder(save_directory, self.method, self.files(), overwrite=overwrite)
        self._write(folder, overwrite)
        self._write_card(folder / CARD)
        for name in ("config", "model_card_kwargs"):  # (`push_to_hub` hands them over)
            hub.pop(name, None)
        if not push_to_hub:
            return None
        return str(self.push_to_hub(repo_id or folder.name, **hub))

    def _write(self, folder: Path, overwrite: bool) -> None:
        documents = np.unique(np.asarray(self.training.documents, dtype=np.uint64))
        config = stamped({"method": self.method, **self._about_training(), **self.describe()})
        tensors = {**self.tensors(), SEEN: documents}
        data = save(tensors, {KEY: json.dumps(config)})  # (one entry: several have no order)
        write_whole(
            folder / TENSORS, lambda part: part.write_bytes(data), TENSOR_FILE, overwrite=overwrite
        )
        config[DIGEST] = hashlib.sha256(data).hexdigest()
        write_json(folder / CONFIG, config, overwrite=overwrite)

    def _about_training(self) -> dict[str, Any]:
        return {
            "base_model": redact(self.training.base_model),
            "base_fingerprint": self.training.fingerprint,
            "tasks": self.training.tasks,
            "prompts": to_config(self.training.prompts),
            **({"label_free": True} if self.training.label_free else {}),
        }

    def _write_card(self, path: Path) -> None:
        """The README, unless one of somebody else's is there."""
        if not os.path.lexists(path) or (path.is_file() and MODEL_CARD.ours(path)):
            write_text(path, str(self.generate_model_card()), MODEL_CARD)

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
        except BrokenMemberError:
            raise
        except OtherKindError as error:
            raise InvalidInputError(f"`{model_id}` {error}") from None
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise _damaged(model_id, why(error)) from error


def read(name: str, **hub: Any) -> tuple[dict[str, Any], Tensors, Training]:
    """Configuration, tensors and training of the artifact in a folder or on the hub.

    Raises:
        InvalidInputError: files are missing or damaged.
    """
    config_file, tensor_file = (_file(name, part, **hub) for part in (CONFIG, TENSORS))
    try:
        config = _agreeing(read_object(config_file), tensor_file)
        tensors = load_file(tensor_file)
        training = Training(
            counts(config["tasks"]),
            hashes(tensors.pop(SEEN)),
            text(config, "base_model"),
            text(config, "base_fingerprint"),
            of_config(config.get("prompts")),
            config.get("label_free") is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise _damaged(name, why(error)) from error
    return config, tensors, training


def _agreeing(config: dict[str, Any], tensor_file: Path) -> dict[str, Any]:
    """The configuration, or the copy inside the tensors where it speaks of others than these.

    (A kill may have come between the two files.)
    """
    if config.get(DIGEST, digest := _digest(tensor_file)) == digest:
        return config
    with safe_open(tensor_file, "np") as file:
        copy = (file.metadata() or {}).get(KEY)
    if copy is None:
        raise ValueError(f"{TENSORS} is not the one that {CONFIG} speaks of")
    log.warning("%s is not of the same fit as %s, whose copy of it is taken.", CONFIG, TENSORS)
    found = loads(copy)
    if not isinstance(found, dict):
        raise ValueError(f"the copy of {CONFIG} in {TENSORS} is no object")
    return found


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _file(name: str, part: str, **hub: Any) -> Path:
    folder = Path(name)
    if os.path.isdir(folder):
        if not os.path.isfile(folder / part):
            raise invalid(
                "calibrator",
                f"a folder with {CONFIG} and {TENSORS}",
                f"`{name}` without {part}",
                "Make one with `lm-calib fit ... --output FOLDER`.",
            )
        return folder / part
    if not REPOSITORY.fullmatch(name):
        raise invalid(
            "calibrator",
            "a folder, or the name of a repository on the hub (OWNER/NAME)",
            f"`{name}`, which is no folder here",
        )
    try:
        return Path(hf_hub_download(name, part, **hub))
    except (OSError, ValueError) as error:  # the hub's own errors are of these kinds
        raise invalid(
            "calibrator",
            "a folder, or the name of a repository on the hub",
            f"`{name}`, which is neither ({type(error).__name__})",
        ) from error


class OtherKindError(InvalidInputError):
    """An artifact of another kind than the one that is wanted."""


def _damaged(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(
        f"`{name}` holds no calibrator that can be read ({why}). Fit it again, or copy it again."
    )
