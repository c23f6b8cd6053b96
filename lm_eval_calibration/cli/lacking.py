"""What a command says where a package that it needs is not installed."""

from __future__ import annotations

PACKAGES = {
    "huggingface_hub": "huggingface-hub",
    "pandas": "pandas",
    "psutil": "psutil",
    "pyarrow": "pyarrow",
    "safetensors": "safetensors",
    "yaml": "pyyaml",
}
"""Modules, and the packages that they come with, that are installed by themselves."""
OF_MODELS = ("accelerate", "lm_eval", "peft", "torch", "transformers")
"""Modules that only what runs a model needs."""


def lacking(error: ModuleNotFoundError) -> str:
    """What to install, of the module that was not found; "" if it is none that we ask for."""
    module = (error.name or "").partition(".")[0]
    if module in PACKAGES:
        return f"This needs {PACKAGES[module]}: pip install {PACKAGES[module]}"
    if module in OF_MODELS:
        return (
            f"This needs {module}, which is not installed: pip install lm-eval-calibration brings all that models "
            "and tasks take. (Past runs are scored, compared, drawn and recalibrated without.)"
        )
    return ""
