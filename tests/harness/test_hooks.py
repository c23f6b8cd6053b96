"""Attaching to the harness: once, lazily, and never with a traceback."""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
from types import ModuleType

import pytest

from lm_eval_calibration.harness import hooks, lines
from lm_eval_calibration.plugin import OURS, install


@pytest.fixture(autouse=True)
def fresh_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks._state, "said", set())
    monkeypatch.setattr(hooks._state, "given_up", False)
    monkeypatch.setattr(sys, "argv", ["lm_eval"])


def python(code: str, **environment: str) -> str:
    """Run `code` in a fresh interpreter of this environment, away from the checkout."""
    import os

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="/",
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


LOADED = "import sys; print([m for m in sys.modules if m.startswith('lm_eval_calibration')])"


def test_start_up_hook_waits_for_the_harness() -> None:
    assert python(LOADED) == "[]"
    assert "lm_eval_calibration.harness" in python(f"import lm_eval; {LOADED}")


def test_start_up_hook_can_be_switched_off() -> None:
    assert python(f"import lm_eval; {LOADED}", LM_EVAL_CALIBRATION_AUTOLOAD="0") == "[]"


def test_importing_the_package_is_light() -> None:
    heavy = python(
        "import lm_eval_calibration, sys; print({'torch', 'numpy', 'lm_eval'} & set(sys.modules))"
    )
    assert heavy == "set()"


@pytest.mark.parametrize("first", ["lm_eval_calibration", "lm_eval.tasks, lm_eval.evaluator"])
def test_either_may_be_imported_first(first: str) -> None:
    """Without the start-up hook, `import lm_eval_calibration` patches what is or will be loaded."""
    code = (
        f"import {first}; import lm_eval_calibration, lm_eval.tasks, lm_eval.evaluator_utils as e; "
        "from lm_eval.api.group import Group; from lm_eval.tasks import TaskManager as T; "
        "from lm_eval.api import metrics; "
        "print(all(hasattr(f, '_lm_eval_calibration') for f in "
        "(getattr(e, 'stderr_for_metric', metrics.stderr_for_metric), Group.aggregate, T.__init__)))"
    )
    assert python(code, LM_EVAL_CALIBRATION_AUTOLOAD="0") == "True"


def test_install_is_idempotent() -> None:
    before = list(sys.meta_path)
    install()
    install()
    assert sys.meta_path == before
    assert sum(isinstance(finder, hooks.PatchOnImport) for finder in sys.meta_path) == 1


def test_patches_are_idempotent() -> None:
    import lm_eval.tasks.manager

    modules = [importlib.import_module(name) for name in hooks.PATCHES]
    before = lm_eval.tasks.manager.TaskManager.__init__
    for module in modules:
        hooks.apply_patches(module, OURS)
    assert lm_eval.tasks.manager.TaskManager.__init__ is before


def test_an_unknown_line_is_left_alone_with_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "harness_version", lambda: "0.9.9")
    monkeypatch.setattr(lines, "harness_version", lambda: "0.9.9")
    with caplog.at_level(logging.WARNING):
        for name in hooks.PATCHES:
            hooks.apply_patches(importlib.import_module(name), OURS)
    (record,) = caplog.records
    assert "cannot be used with lm-eval 0.9.9" in record.message
    assert "pip install 'lm-eval==0.4.13'" in record.message


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--tasks", "arc_easy,calib_arc"],
        ["--tasks=calib_sst2"],
        ["--model", "thermometer", "--tasks", "arc_easy"],
        ["--model=hf-fast"],
    ],
)
def test_a_run_that_asks_for_ours_ends_there(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hooks, "harness_version", lambda: "0.6.0")
    monkeypatch.setattr(lines, "harness_version", lambda: "0.6.0")
    monkeypatch.setattr(sys, "argv", ["lm_eval", *arguments])
    with pytest.raises(SystemExit) as stopped:
        hooks.apply_patches(importlib.import_module("lm_eval.tasks.manager"), OURS)
    assert stopped.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be used with lm-eval 0.6.0" in line and "lm-calib score" in line


def test_another_release_of_a_known_line_is_one_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hooks, "harness_version", lambda: "0.4.99")
    with caplog.at_level(logging.WARNING):
        for name in hooks.PATCHES:
            hooks.apply_patches(importlib.import_module(name), OURS)
    (record,) = caplog.records
    assert "lm-eval 0.4.99 is not a version" in record.message


def test_a_harness_without_our_footholds_is_given_up_once(caplog: pytest.LogCaptureFixture) -> None:
    stranger = ModuleType("lm_eval.tasks.manager")
    with caplog.at_level(logging.WARNING):
        hooks.apply_patches(stranger, OURS)
        hooks.apply_patches(stranger, OURS)
    (record,) = caplog.records
    assert "patch_task_manager failed" in record.message and "as if" in record.message


def test_missing_harness_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    def missing(_: str) -> str:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert lines.harness_version() == "unknown"


def test_importing_one_of_our_models_hides_none_of_the_harness() -> None:
    code = (
        "import lm_eval_calibration.models.calibrated\n"
        "from lm_eval.api.registry import get_model\n"
        "print(get_model('dummy').__name__, get_model('calibrated').__name__)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["DummyLM", "CalibratedLM"]
