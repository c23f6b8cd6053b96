"""The commands that README, docs and the benchmarks' page show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PROGRAMS = "lm-calib|lm_eval|python"


def commands(page: Path) -> list[str]:
    """Lines of a page's code blocks that start a program, joined, without what is said of them."""
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
    return [re.split(r"\s+#|\s{3,}", s)[0] for s in lines if re.match(rf"({PROGRAMS}) ", s)]


def _program(module: re.Match[str]) -> str:
    """A module's console script."""
    return "lm-calib " if module[2] else "lm_eval "


def words(command: str) -> list[str]:
    """A command's arguments, with all that may be left out."""
    bare = re.sub(r" \[([^\]]*)\](?= |$)", r" \1", command).replace("[...]", "[0]")
    return [word.removesuffix("...") for word in shlex.split(bare)[1:] if word != "..."]


def shown(program: str) -> list[tuple[str, str]]:
    """Page and command, of each command that starts a program."""
    found = {
        (str(page.relative_to(ROOT)), line)
        for page in PAGES
        for line in commands(page)
        if line.startswith(f"{program} ")
    }
    return sorted(found)
