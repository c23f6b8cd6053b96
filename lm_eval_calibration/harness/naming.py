"""Names that mean nothing to the harness, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError, invalid, unknown_name
from lm_eval_calibration.names import PREFIX, upstream_name


def unknown_tasks(asked: Any, include_path: Any = None, manager: Any = None) -> InvalidInputError:
    """The error for names of `--tasks` of which at least one means nothing.

    Args:
        asked: a text with commas, or a list of such.
        include_path: of the run.
        manager: that knows the names; made where there is none.
    """
    from lm_eval_calibration.harness.tasks import TaskManager, matching

    manager = manager or TaskManager(include_path=include_path)
    listed = [asked] if isinstance(asked, str) else list(asked)
    names = [name.strip() for text in listed for name in str(text).split(",")]
    lost = [n for n in dict.fromkeys(names) if n.endswith(".yaml") or not matching(manager, n)]
    if len(lost) == 1 and (reason := _why_none(lost[0], manager)):
        return InvalidInputError(reason)
    hints = " ".join(filter(None, (_meant(name, manager.all_tasks) for name in lost)))
    got = ", ".join(f"`{name}`" for name in lost)
    return invalid("--tasks", "names of harness tasks", got, hints or _elsewhere(include_path))


def _elsewhere(include_path: Any) -> str:
    """Where tasks of unknown names may be."""
    folders = [include_path] if isinstance(include_path, (str, Path)) else list(include_path or ())
    if lost := [str(folder) for folder in folders if not Path(folder).is_dir()]:
        return f"`--include_path` {', '.join(lost)} is no folder."
    own = "" if folders else " Tasks of your own want --include_path FOLDER."
    return f"`lm_eval ls tasks` lists them.{own}"


def refuse_unknown_tasks(names: Any, manager: Any) -> None:
    """Stop at names of which a manager knows nothing, where there is one to ask.

    Raises:
        InvalidInputError: see `unknown_tasks`.
    """
    from lm_eval_calibration.harness.tasks import matching

    texts = [name for name in names or () if isinstance(name, str)]
    lost = [] if manager is None else [name for name in texts if not matching(manager, name)]
    if lost:
        raise unknown_tasks(lost, manager=manager)


def _why_none(name: str, manager: Any) -> str | None:
    """Why a task of the harness has no twin, if that is what is asked for."""
    from lm_eval_calibration.harness.index import why_no_twin

    base = upstream_name(name)
    if name == base or base not in manager.all_tasks or base not in manager._index:
        return None
    reason = why_no_twin(manager._index[base])
    return f"`{name}` cannot be had: {reason}. Run `{base}` instead." if reason else None


def _meant(name: str, known: Iterable[str]) -> str:
    if name.endswith(".yaml"):
        return f"No file is called `{name}`."
    base = name
    while upstream_name(base) != base:
        base = upstream_name(base)
    near = difflib.get_close_matches(base, [n for n in known if upstream_name(n) == n], 3)
    prefix = PREFIX if name.startswith(PREFIX) else ""
    meant = " or ".join(f"`{prefix}{each}`" for each in near)
    return f"Did you mean {meant}?" if near else ""


def model_class(name: str, kind: str = "model") -> type:
    """The class of a `--model`; `kind` says what it is, where there is none.

    Raises:
        UnknownNameError: there is none of this name; the nearest are named.
    """
    from lm_eval.api.registry import get_model, model_registry

    try:
        found: type = get_model(name)
        return found
    except ValueError as error:
        if name in model_registry:
            raise
        raise unknown_name(kind, name, list(model_registry)) from error
