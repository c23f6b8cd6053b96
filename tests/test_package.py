"""Promises kept by small machines: exports, documentation, layering, examples."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import lm_eval_calibration
from lm_eval_calibration.harness.lines import harness_version, line_of

ROOT = Path(lm_eval_calibration.__file__).parent
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages([str(ROOT)], "lm_eval_calibration.")
    if not m.name.endswith(".autoload")
    and (".line_" not in m.name or m.name.endswith(str(line_of(harness_version()))))
)
"""All but the start-up file and the bridges to lines of the harness that are not installed."""

# Each room may import only from rooms before it, and from itself.
ROOMS = [
    [
        "_version",
        "answer_keys",
        "arguments",
        "arrays",
        "clusters",
        "errors",
        "conversation",
        "told",
        "files",
        "json_text",
        "members",
        "messages",
        "names",
        "normalisation",
        "peers",
        "prompt_format",
        "redact",
        "texts",
        "yamls",
    ],
    ["harness"],
    ["ragged"],
    ["logits"],
    ["scales"],
    ["predictions"],
    ["given"],
    ["draws", "envelope", "stated"],
    ["metrics"],
    ["features"],
    ["calibrators"],
    ["scoring"],
    ["generating"],
    ["swag"],
    ["fractal"],
    ["verbal"],
    ["models"],
    ["tasks"],
    ["plugin"],
    ["logs"],
    ["analysis"],
    ["checkpoints", "fitting"],
    ["exports", "report"],
    ["testing"],
    ["sklearn"],
    ["cli"],
    ["__main__"],
]
# The package's front door, and the names that the start-up hook needs from it, stand outside.


def test_exports_resolve_and_are_all() -> None:
    for name in lm_eval_calibration.__all__:
        assert getattr(lm_eval_calibration, name) is not None
    assert dir(lm_eval_calibration) == sorted(lm_eval_calibration.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lm_eval_calibration.nothing  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__, name
    for public, value in vars(module).items():
        mine = getattr(value, "__module__", None) == name
        if (
            mine
            and not public.startswith("_")
            and (inspect.isfunction(value) or inspect.isclass(value))
        ):
            assert inspect.getdoc(value), f"{name}.{public}"


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    module = importlib.import_module(name)
    assert (
        doctest.testmod(module, optionflags=flags, extraglobs={"np": __import__("numpy")}).failed
        == 0
    )


def test_one_class_has_one_name() -> None:
    """But for the harness's bridges, of which one is there at a time."""
    where: dict[str, list[str]] = {}
    for path in ROOT.rglob("*.py"):
        if path.name.startswith("line_"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


REGISTRIES = ("METRICS", "METHODS", "FORMATS", "MODELS", "PATCHES", "DEFAULT_METRICS")


def test_one_name_of_a_registry_is_of_one() -> None:
    """What a user may import, or a newcomer look for, by its name in capitals."""
    found: list[str] = []
    for path in ROOT.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            )
            found += [t.id for t in targets if isinstance(t, ast.Name) and t.id in REGISTRIES]
    assert sorted(found) == sorted(set(found))


def room(module: str) -> int | None:
    parts = module.removeprefix("lm_eval_calibration").strip(".").split(".")
    return next((i for i, names in enumerate(ROOMS) if parts[0] in names), None)


@pytest.mark.parametrize("name", MODULES)
def test_imports_run_only_downward(name: str) -> None:
    here = room(name)
    assert here is not None, f"{name} is in no room: add it to ROOMS"
    source = inspect.getsource(importlib.import_module(name))
    for module in _imported(ast.parse(source)):
        there = room(module)
        assert there is None or there <= here, f"{name} imports {module}"


def _imported(tree: ast.Module) -> list[str]:
    """Modules of ours that a module imports, however it does."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "lm_eval_calibration":
            found += [f"lm_eval_calibration.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(node.module or "")
    return [module for module in found if module.startswith("lm_eval_calibration.")]


OF_THE_HARNESS = {
    "models": "models derive from the harness's classes, and its classes of models are their bases",
}
"""Rooms beside `harness` that import the harness, and why."""


@pytest.mark.parametrize("name", MODULES)
def test_the_harness_is_in_one_room(name: str) -> None:
    source = inspect.getsource(importlib.import_module(name))
    imported = [
        module
        for node in ast.walk(ast.parse(source))
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    if any(module.split(".")[0] == "lm_eval" for module in imported):
        assert name.split(".")[1] in ("harness", *OF_THE_HARNESS), imported


def test_no_file_is_a_warehouse() -> None:
    for path in ROOT.rglob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path


def test_the_matrix_names_tests_that_exist() -> None:
    root = Path(__file__).parents[1]
    named = re.findall(
        r"\btests/[\w/]+(?:\.py)?", (root / ".ci/matrix").read_text(encoding="utf-8")
    )
    assert named and not [path for path in named if not (root / path).exists()]
