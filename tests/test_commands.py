"""Every command in the README, the docs and the benchmarks' page is one that the parsers take."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from lm_eval._cli.harness import HarnessCLI
from lm_eval.api.registry import get_model

from lm_eval_calibration.arguments import parameters
from lm_eval_calibration.cli.app import app
from lm_eval_calibration.harness import install

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def commands(page: Path) -> list[str]:
    """`lm-calib` and `lm_eval` lines of a page's code blocks, joined where they go on."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [
        line.strip().removeprefix("$ ")
        for block in blocks
        for line in re.sub(r"\\\n\s*", "", block).splitlines()
    ]
    lines = [
        re.sub(r"^accelerate launch .*? -m (lm_eval(_calibration)?) ", _program, line)
        for line in lines
    ]
    return [line for line in lines if re.match(r"(lm-calib|lm_eval) ", line)]


def _program(module: re.Match[str]) -> str:
    """A module's console script."""
    return "lm-calib " if module[2] else "lm_eval "


SHOWN = [(page.name, command) for page in PAGES for command in commands(page)]
OURS = sorted({c for c in SHOWN if c[1].startswith("lm-calib")})
HARNESS = sorted({c for c in SHOWN if c[1].startswith("lm_eval")})


def words(command: str) -> list[str]:
    """A command's arguments, without what is said of it, and with all that may be left out."""
    said = re.split(r"\s+#|\s{3,}", command)[0]
    bare = re.sub(r" \[([^\]]*)\](?= |$)", r" \1", said).replace("[...]", "[0]")
    return [word for word in shlex.split(bare)[1:] if word != "..."]


@pytest.mark.parametrize(("page", "command"), OURS)
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


@pytest.mark.parametrize(("page", "command"), HARNESS)
def test_lm_eval(page: str, command: str, harness: Any) -> None:
    given = words(command)
    if given[0] not in ("run", "ls", "validate"):
        given.insert(0, "run")
    asked = harness.parse_args(given)
    if asked.command == "run" and asked.model:
        _check_model(asked.model, dict(asked.model_args or {}))


def _check_model(name: str, arguments: dict[str, Any]) -> None:
    """The model is registered, and it or its base has arguments of these names."""
    known = parameters(get_model(name))
    base = arguments.get("base", known["base"].default if "base" in known else "")
    if base in (Ellipsis, "vllm"):  # any, or one that is not installed here
        return
    if base:
        known |= parameters(get_model(base))
    assert arguments.keys() <= known.keys() | {"..."}


def test_commands_were_found() -> None:
    assert len(OURS) > 20 and len(HARNESS) > 20
