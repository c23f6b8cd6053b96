"""The harness's release lines: which one is installed, and the bridge to it.

A bridge is one module, `line_<major>_<minor>`, with the classes that twins derive from and the little that
differs beside them. What it takes of the harness stands in `NEEDED`, and is looked at before it is used.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Iterable, Mapping
from types import ModuleType

from lm_eval_calibration.errors import HarnessError

TESTED = ("0.4.13", "0.5.0.dev1")
"""Releases that the test suite runs against, the one to install first."""
LINES = {"0.4": "line_0_4", "0.5": "line_0_5"}
"""Bridges by the beginning of a version."""


def harness_version() -> str:
    """The installed harness's version, or "unknown"."""
    import importlib.metadata  # slow to import, and needed only once the harness is

    try:
        return importlib.metadata.version("lm_eval")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def line_of(version: str) -> str | None:
    """The bridge to a version's line; `None` if there is none."""
    return LINES.get(".".join(version.split(".")[:2]))


def refusal(what: str) -> HarnessError:
    """That nothing can be done with this harness, and what can be done about it."""
    return HarnessError(
        f"lm-eval-calibration cannot be used with lm-eval {harness_version()}: {what}. It was made for lm-eval "
        f"{' and '.join(TESTED)}: pip install 'lm-eval=={TESTED[0]}', or a newer lm-eval-calibration. (Past runs "
        "can be scored with any: lm-calib score, compare, report, leaderboard.)"
    )


@functools.cache
def bridge() -> ModuleType:
    """The bridge to the installed harness.

    Raises:
        HarnessError: no bridge leads there, or the harness lacks what the bridge takes of it.
    """
    name = line_of(harness_version())
    if name is None:
        raise refusal("no release of its line is known")
    needed = importlib.import_module("lm_eval_calibration.harness.needed").NEEDED[name]
    if lacking := missing(needed):
        raise refusal(f"it has no {', no '.join(lacking)}")
    try:
        return importlib.import_module(f"lm_eval_calibration.harness.{name}")
    except Exception as error:
        raise refusal(f"{type(error).__name__}: {error}") from error


def missing(needed: Mapping[str, Iterable[str]]) -> list[str]:
    """What a harness lacks of what is needed.

    Args:
        needed: parameters that a function or class must take, and beyond which it may want none, by
            `module:name`; without any only that it is there.
    """
    found = []
    for place, parameters in needed.items():
        module, _, path = place.partition(":")
        try:
            here = importlib.import_module(module)
            for name in path.split("."):
                here = getattr(here, name)
        except Exception:  # noqa: BLE001 - likewise
            found.append(f"`{place}`")
            continue
        found += [f"`{p}` of `{place}`" for p in parameters if not takes(here, p)]
        if parameters:
            found += [f"`{place}` without `{p}`" for p in wants(here) if p not in parameters]
    return found


def wants(function: object) -> list[str]:
    """The parameters that a function must be given."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    return [
        name
        for name, p in signature.parameters.items()
        if name != "self"
        and p.default is p.empty
        and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


def takes(function: object, parameter: str) -> bool:
    """Whether a function has a parameter of a name, or takes any."""
    there = inspect.signature(function).parameters  # type: ignore[arg-type]
    return parameter in there or any(p.kind is p.VAR_KEYWORD for p in there.values())
