"""Apply each patch when, and only when, the harness module that it concerns is imported."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import ClassVar

from lm_eval_calibration.errors import HarnessError
from lm_eval_calibration.harness.lines import TESTED, harness_version, line_of, refusal
from lm_eval_calibration.harness.plugin import Plugin
from lm_eval_calibration.messages import logger
from lm_eval_calibration.names import PREFIX

log = logger("lm_eval_calibration")

PATCHES: dict[str, tuple[str, ...]] = {
    "lm_eval._cli.harness": ("terminal.patch_execute",),
    "lm_eval.api.metrics": ("patches.register_components", "patches.patch_stderr_for_metric"),
    "lm_eval.api.group": ("patches.patch_group_aggregate",),
    "lm_eval.api.model": ("patches.patch_caching", "patches.patch_caching_lm"),
    "lm_eval.config.evaluate_config": ("terminal.patch_process_tasks",),
    "lm_eval.evaluator": ("patches.patch_simple_evaluate", "patches.patch_evaluate"),
    "lm_eval.evaluator_utils": ("patches.patch_stderr_for_metric",),
    "lm_eval.models": ("patches.register_models",),
    "lm_eval.tasks.manager": ("patches.patch_task_manager",),
    "lm_eval.utils": ("terminal.patch_make_table",),
}
"""Harness module -> functions of this room to call on it once it is imported, each by its module."""


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
            _warn_once(
                f"{name} comes from {spec.loader!r}, which cannot be patched: twins may be missing."
            )
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
    """Apply the patches of one harness module.

    A harness of no known line, and one of another release that a patch does not fit, is left as it is: a
    run that asks for something of ours ends with one error, any other one is warned.
    """
    if _state.given_up:
        return
    _check_version(plugin)
    for patch in () if _state.given_up else PATCHES[module.__name__]:
        place, _, name = patch.partition(".")
        try:
            room = importlib.import_module(f"lm_eval_calibration.harness.{place}")
            getattr(room, name)(module, plugin)
        except Exception as error:  # noqa: BLE001 - whatever a future harness does
            what = f"{patch} failed ({type(error).__name__}: {error})"
            _give_up(refusal(what), plugin)
            return


class _State:
    """Of this process: what was said, and whether the harness is left alone."""

    given_up = False
    said: ClassVar[set[str]] = set()


_state = _State()


def _check_version(plugin: Plugin) -> None:
    version = harness_version()
    if line_of(version) is None:
        _give_up(refusal("no release of its line is known"), plugin)
    elif version not in TESTED:
        _warn_once(
            f"lm-eval {version} is not a version that lm-eval-calibration was tested with ({', '.join(TESTED)}): what it "
            "needs of it is looked at before anything runs."
        )


def _give_up(why: HarnessError, plugin: Plugin) -> None:
    """Leave the harness as it is, and end a run that cannot do without us."""
    _state.given_up = True
    if _asks_for_ours(sys.argv[1:], plugin):
        sys.stderr.write(f"{why}\n")
        raise SystemExit(1)
    _warn_once(f"{why} It runs as if lm-eval-calibration were not there.")


def _asks_for_ours(arguments: Sequence[str], plugin: Plugin) -> bool:
    """Whether a command names one of our tasks or models."""
    named = [name for text in arguments for name in text.partition("=")[2].split(",") if name]
    words = {*named, *(name for text in arguments for name in text.split(","))}
    return any(word.startswith(PREFIX) or word in plugin.models for word in words)


def _warn_once(message: str) -> None:
    if message not in _state.said:
        _state.said.add(message)
        log.warning(message)
