"""Every command that README, docs and the benchmarks' page show is one that the parsers take."""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from documented import PAGES, ROOT, shown, words
from lm_eval._cli.harness import HarnessCLI
from lm_eval.api.registry import get_model

from lm_eval_calibration.arguments import parameters
from lm_eval_calibration.cli.app import app
from lm_eval_calibration.plugin import install


@pytest.mark.parametrize(("page", "command"), shown("lm-calib"))
def test_lm_calib(page: str, command: str) -> None:
    root = typer.main.get_command(app)
    _disarm(root)
    root.main(words(command), standalone_mode=False)


def _disarm(command: click.Command) -> None:
    """Have it parse, and do nothing."""
    for sub in getattr(command, "commands", {}).values():
        _disarm(sub)
    command.callback = lambda **_: None


@pytest.fixture(scope="module")
def harness() -> Any:
    install()
    return HarnessCLI()._parser


@pytest.mark.parametrize(("page", "command"), shown("lm_eval"))
def test_lm_eval(page: str, command: str, harness: Any) -> None:
    given = words(command)
    if given[0] not in ("run", "ls", "validate"):
        given.insert(0, "run")
    asked = harness.parse_args(given)
    if asked.command == "run" and asked.model:
        _check_model(asked.model, dict(asked.model_args or {}))


def _check_model(name: str, arguments: dict[str, Any]) -> None:
    """The model is registered, and it or its bases have arguments of these names."""
    known = parameters(get_model(name))
    base = arguments.get("base", known["base"].default if "base" in known else "")
    while base:
        if base == "vllm":  # not installed here
            return
        inside = parameters(get_model(base))
        base = inside["base"].default if "base" in inside else ""
        known |= inside
    assert arguments.keys() <= known.keys()


@pytest.mark.parametrize(("page", "command"), shown("python"))
def test_benchmarks(page: str, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        parse(parser, *arguments)
        raise InterruptedError

    script, *rest = words(command)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [script, *rest])
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    with pytest.raises(InterruptedError):
        runpy.run_path(str(ROOT / script), run_name="__main__")


def test_make() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert target in targets, (page.name, target)


def test_extras() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for page in PAGES:
        for extra in re.findall(r"pip install '[\w.-]+\[(\w+)\]'", page.read_text("utf-8")):
            assert re.search(rf"^{extra} = \[", project, re.MULTILINE), (page.name, extra)


def test_commands_were_found() -> None:
    assert len(shown("lm-calib")) > 20 and len(shown("lm_eval")) > 20
    assert all(Path(ROOT / page).is_file() for page, _ in shown("lm_eval"))
