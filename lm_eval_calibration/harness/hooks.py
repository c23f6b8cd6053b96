"""Apply each patch when, and only when, the harness module that it concerns is imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from lm_eval_calibration.harness.plugin import Plugin
from lm_eval_calibration.messages import logger

log = logger("lm_eval_calibration")

KNOWN_VERSIONS = ("0.4.13",)
"""Harness releases that the test suite runs against."""

PATCHES: dict[str, tuple[str, ...]] = {
    "lm_eval.api.metrics": ("register_components",),
    "lm_eval.api.group": ("patch_group_aggregate",),
    "lm_eval.api.model": ("patch_caching", "patch_caching_lm"),
    "lm_eval.evaluator": ("patch_simple_evaluate", "patch_evaluate"),
    "lm_eval.evaluator_utils": ("patch_stderr_for_metric",),
    "lm_eval.models": ("register_models",),
    "lm_eval.tasks.manager": ("patch_task_manager",),
}
"""Harness module -> functions of `harness.patches` to call on it once it is imported."""


class PatchOnImport:
    """A meta-path finder that lets the usual finders load a module, then applies its patches."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._busy: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Wrap the loader of the modules in `PATCHES`; leave all others alone."""
        if name not in PATCHES or name in self._busy:
            return None
        self._busy.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._busy.discard(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_patch(module: ModuleType) -> None:
            execute(module)
            apply_patches(module, self._plugin)

        try:
            spec.loader.exec_module = execute_and_patch  # type: ignore[method-assign]
        except AttributeError:  # a loader that cannot be wrapped: the harness works, without us
            _warn_once(f"{name} comes from {spec.loader!r}, which cannot be patched. {_FALLBACK}")
        return spec


def install(plugin: Plugin) -> None:
    """Attach a plugin to the harness, whether it is imported already or not. Idempotent."""
    if any(isinstance(finder, PatchOnImport) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, PatchOnImport(plugin))
    for name in PATCHES:
        if name in sys.modules:
            apply_patches(sys.modules[name], plugin)


def apply_patches(module: ModuleType, plugin: Plugin) -> None:
    """Apply the patches of one harness module; a failure is one warning, never a traceback."""
    _check_version()
    patches = importlib.import_module("lm_eval_calibration.harness.patches")
    for patch in PATCHES[module.__name__]:
        try:
            getattr(patches, patch)(module, plugin)
        except Exception as error:  # noqa: BLE001 - whatever a future harness does, it must run
            _warn_once(f"{patch} failed on lm-eval {harness_version()} ({error!r}). {_FALLBACK}")


_FALLBACK = f"Twins may be missing or lack error bars; to be safe: pip install 'lm-eval=={KNOWN_VERSIONS[-1]}'."
_said: set[str] = set()


def harness_version() -> str:
    """The installed harness's version, or "unknown"."""
    import importlib.metadata  # slow to import, and needed only once the harness is

    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _check_version() -> None:
    version = harness_version()
    if version not in KNOWN_VERSIONS:
        _warn_once(
            f"lm-eval {version} is not a version that lm-eval-calibration was tested with "
            f"({', '.join(KNOWN_VERSIONS)}). {_FALLBACK}"
        )


def _warn_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        log.warning(message)
