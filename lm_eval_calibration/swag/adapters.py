"""A posterior as adapters that other engines load: each draw a PEFT folder, and an index of them.

`mean/` is the first member's mean, `draw-M-S/` draw S of member M. `draws.json` says what they are,
and `documents.safetensors` which documents the members were trained on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.calibrators.validity import counts, hashes, text, why
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import (
    JSON,
    TENSORS,
    FileFormat,
    claim_folder,
    write_json,
    write_tensors,
)
from lm_eval_calibration.json_text import read_object
from lm_eval_calibration.prompt_format import of_config, to_config
from lm_eval_calibration.redact import redact
from lm_eval_calibration.swag.artifact import ADAPTER_FILES, READING, save_adapter
from lm_eval_calibration.swag.mixture import Mixture

KIND = "swag-draws"
INDEX, DOCUMENTS, MEAN, DRAW = "draws.json", "documents.safetensors", "mean", "draw-{}-{}"


@dataclass(frozen=True)
class Adapters:
    """Draws as folders.

    Attributes:
        folder: in which they are.
        mean: name of the first member's mean.
        draws: names of the draws, member by member.
        members, samples: M members and S draws of each.
        rank: of the LoRA weights.
        targets: names of the layers that are adapted.
        method: of `swag.mixture.POSTERIORS`.
        training: of the members.
    """

    folder: Path
    mean: str
    draws: list[str]
    members: int
    samples: int
    rank: int
    targets: list[str]
    method: str
    training: Training

    @property
    def names(self) -> list[str]:
        """Of all: the mean first."""
        return [self.mean, *self.draws]

    @property
    def room(self) -> int:
        """Rank that vLLM is to have room for: a power of two, at least 8."""
        return max(8, 1 << (self.rank - 1).bit_length())

    def path(self, name: str) -> Path:
        """Where one is."""
        return (self.folder / name).resolve()


def save(
    mixture: Mixture,
    folder: Path,
    *,
    overwrite: bool = False,
    progress: Callable[[int], object] | None = None,
) -> Adapters:
    """Write a mixture's weight sets; `draws.json` comes last.

    Args:
        mixture: whose method is not `mc_dropout`, which is no set of weights.
        folder: where.
        overwrite: whether files in it may be replaced.
        progress: told after each.

    Raises:
        InvalidInputError: the method has no weights of its own.
        OutputError: something else stands there, or the folder cannot be written to.
    """
    if mixture.method == "mc_dropout":
        raise invalid("--method", "one that draws weights", "`mc_dropout`, which draws noise")
    first, (members, samples) = mixture.members[mixture.numbers[0]], mixture.shape
    names = [DRAW.format(m, s) for m in mixture.numbers for s in range(samples)]
    claim_folder(folder, KIND, files_of([MEAN, *names]), overwrite=overwrite)
    (folder / INDEX).unlink(missing_ok=True)
    save_adapter(folder / MEAN, first.mean, first.adapter)
    for name, drawn in zip(names, mixture.weight_sets(), strict=True):
        save_adapter(folder / name, drawn.weights, mixture.members[drawn.member].adapter)
        if progress is not None:
            progress(1)
    training = first.training
    documents = np.unique(np.asarray(training.documents, dtype=np.uint64))
    write_tensors(folder / DOCUMENTS, save_file, {"documents": documents})
    about = {
        "method": KIND, "averages": mixture.method, "members": members, "samples": samples,
        "scales": mixture.scales, "seed": mixture.seed, "rank": int(first.adapter["r"]), "targets": list(first.adapter["target_modules"]),
        "mean": MEAN, "draws": names, "base_model": redact(training.base_model),
        "base_fingerprint": training.fingerprint, "tasks": training.tasks,
        "prompts": to_config(training.prompts),
    }  # fmt: skip
    write_json(folder / INDEX, about)
    return load(folder)


def files_of(names: list[str]) -> dict[str, FileFormat]:
    """Names and formats of what is written."""
    adapters = {f"{name}/{file}": kind for name in names for file, kind in ADAPTER_FILES.items()}
    return {**adapters, DOCUMENTS: TENSORS, INDEX: JSON}


def load(folder: str | Path) -> Adapters:
    """What `save` wrote.

    Raises:
        InvalidInputError: it is not there, or not whole.
    """
    path = Path(folder)
    for name in (INDEX, DOCUMENTS):
        if not os.path.isfile(path / name):
            raise invalid(
                "adapters", "a folder of `lm-calib swag export`", f"`{path}` without {name}"
            )
    try:
        found = _read(path)
    except READING as error:
        raise InvalidInputError(
            f"`{path}` holds no draws that can be read ({why(error)}). Export them again."
        ) from error
    lacking = [
        f"{name}/{file}"
        for name in found.names
        for file in ADAPTER_FILES
        if not os.path.isfile(path / name / file)
    ]
    if lacking:
        raise invalid("adapters", "a whole folder", f"`{path}` without {lacking[0]}")
    return found


def _read(path: Path) -> Adapters:
    about = read_object(path / INDEX)
    members, samples, rank = (int(about[name]) for name in ("members", "samples", "rank"))
    draws = [_name(each) for each in about["draws"]]
    if members < 1 or samples < 1 or len(draws) != members * samples:
        raise ValueError(f"{len(draws)} draws of {members} members, {samples} each")
    training = Training(
        counts(about["tasks"]),
        hashes(load_file(path / DOCUMENTS)["documents"]),
        text(about, "base_model"),
        text(about, "base_fingerprint"),
        of_config(about.get("prompts")),
    )
    mean, method = _name(about["mean"]), text(about, "averages")
    targets = [str(each) for each in about["targets"]]
    return Adapters(path, mean, draws, members, samples, rank, targets, method, training)


def _name(told: object) -> str:
    """Of a folder in the folder, and nowhere else."""
    if not isinstance(told, str) or not told or Path(told).name != told:
        raise ValueError(f"{told!r} for a folder's name")
    return told
