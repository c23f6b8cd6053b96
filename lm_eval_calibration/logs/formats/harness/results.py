"""What the harness wrote of runs beside their samples: `results_<date>.json`, and the groups in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.formats.harness.bad import shown
from lm_eval_calibration.logs.formats.harness.files import (
    date_of,
    is_named,
    results_file,
    task_name,
)
from lm_eval_calibration.logs.formats.harness.group_means import counted, means_of
from lm_eval_calibration.logs.nothing import check_whole
from lm_eval_calibration.logs.run import GroupRows

DEEPEST = 100
"""Levels of lists and objects in a results file; the harness writes a dozen at most."""
_MEND = "mend it, or take the file away and go without groups and the account of the run"


def results_of(files: Iterable[LogFile]) -> list[dict[str, Any]]:
    """The harness's results of the runs that wrote `files`, newest first; those that exist.

    Raises:
        InvalidInputError: one that cannot be used; the message names it and its field.
    """
    dates = {(f.date, f.path.parent): None for f in files if f.date}
    paths = [results_file(folder, date) for date, folder in sorted(dates, reverse=True)]
    read = [_results(path) for path in dict.fromkeys(paths) if path is not None]
    return [results for results in read if results]


def newest_results(folder: Path) -> list[dict[str, Any]]:
    """The newest results file of each folder in a folder, at any depth; nothing without any.

    Raises:
        InvalidInputError: as `results_of`.
    """
    newest = {path.parent: path for path in sorted(folder.rglob("results_*.json"))}
    return [_results(path) for path in newest.values()]


def by_model(files: Sequence[LogFile]) -> dict[str, list[LogFile]]:
    """The files of one folder by the model that the results of their dates name.

    A folder is only where files lie. Those of dates without results are the model's, where there is
    one; else they are nobody's, "".
    """
    folder = files[0].path.parent
    dates = {file.date for file in files} | {date_of(p) for p in folder.iterdir() if is_named(p)}
    models = {date: _model(folder, date) for date in dates}
    known = {name for name in models.values() if name}
    alone = known.pop() if len(known) == 1 else ""
    found: dict[str, list[LogFile]] = {}
    for file in files:
        found.setdefault(models[file.date] or alone, []).append(file)
    return found


def _model(folder: Path, date: str) -> str:
    """As a results file names it; "" where none does, or it is damaged (which is said elsewhere)."""
    path = results_file(folder, date)
    if path is None:
        return ""
    try:
        name = json_text.read_object(path).get("model_name")
    except (json_text.InvalidJSONError, OSError):
        return ""
    return name if isinstance(name, str) else ""


def results_beside(file: Path) -> dict[str, Any]:
    """What the results file of the run that wrote a samples file holds; nothing if it is not there.

    Raises:
        InvalidInputError: as `results_of`.
    """
    found = results_of([LogFile(task_name(file), date_of(file), file)])
    return found[0] if found else {}


def _results(path: Path) -> dict[str, Any]:
    try:
        results = json_text.read_object(path)
    except (json_text.InvalidJSONError, OSError) as error:
        check_whole(path)
        raise InvalidInputError(f"{error}; {_MEND}.") from None
    if _depth(results) > DEEPEST:
        raise InvalidInputError(f"{path} is nested deeper than {DEEPEST} levels; {_MEND}.")
    name = results.get("model_name")
    if name is not None and not isinstance(name, str):
        raise _wrong(path, "model_name", "a text", name)
    members = results.get("group_subtasks")
    if members is None:
        return results
    if not isinstance(members, dict):
        raise _wrong(path, "group_subtasks", "an object of groups", members)
    for group, tasks in members.items():
        if not isinstance(tasks, list) or not all(isinstance(task, str) for task in tasks):
            raise _wrong(path, f"group_subtasks.{shown(group)}", "a list of task names", tasks)
    circle = _circle(members)
    if circle is not None:
        field = f"group_subtasks.{shown(circle)}"
        raise _wrong(path, field, "no group inside itself", members[circle])
    return results


def _wrong(path: Path, field: str, expected: str, got: Any) -> InvalidInputError:
    return InvalidInputError(f"{path}: `{field}` must be {expected}, got {shown(got)}; {_MEND}.")


def _depth(value: Any) -> int:
    """Levels of lists and objects, counted without recursion; no further than one beyond the deepest."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        inside = [v for v in level if isinstance(v, (dict, list))]
        depth += bool(inside)
        level = [item for v in inside for item in (v.values() if isinstance(v, dict) else v)]
    return depth


def _circle(members: Mapping[str, list[str]]) -> str | None:
    """A group that is in itself, if there is one: what is left when leaves are taken off."""
    holders: dict[str, list[str]] = {}
    open_members = {group: len(tasks) for group, tasks in members.items()}
    for group, tasks in members.items():
        for task in tasks:
            holders.setdefault(task, []).append(group)
    leaves = [name for name in holders if not members.get(name)]
    leaves += [group for group, count in open_members.items() if not count and group not in holders]
    done = set(leaves)
    while leaves:
        for group in holders.get(leaves.pop(), ()):
            open_members[group] -= 1
            if not open_members[group] and group not in done:
                done.add(group)
                leaves.append(group)
    return next((group for group in members if group not in done), None)


def groups_of(
    results: Iterable[Mapping[str, Any]], tasks: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """The tasks in each group, subgroups resolved, for groups all of whose tasks are there.

    Args:
        results: results files, newest first; an older one adds the groups that it alone names.
        tasks: names of the tasks at hand.
    """
    known = set(tasks)
    groups: dict[str, tuple[str, ...]] = {}
    for result in results:
        members = result.get("group_subtasks") or {}
        for name in members:
            leaves = _leaves(name, members)
            if members[name] and known.issuperset(leaves):
                groups.setdefault(name, leaves)
    return groups


def rows_of(results: Iterable[Mapping[str, Any]], groups: Iterable[str]) -> dict[str, GroupRows]:
    """How the rows of groups were made.

    Args:
        results: as for `groups_of`.
        groups: those that it found.
    """
    rows: dict[str, GroupRows] = {}
    wanted = set(groups)
    for result in results:
        members = result.get("group_subtasks") or {}
        for name in (wanted - rows.keys()) & members.keys():
            tasks = counted(name, members) or _leaves(name, members)
            rows[name] = GroupRows(tasks, means_of(result, name, tasks))
    return rows


def _leaves(name: str, members: Mapping[str, list[str]]) -> tuple[str, ...]:
    """The tasks in a group, each once, in the order in which they stand."""
    seen: dict[str, None] = {}
    ahead = [name]
    while ahead:
        this = ahead.pop()
        if this not in seen:
            seen[this] = None
            ahead += reversed(members.get(this) or [])
    return tuple(each for each in seen if not members.get(each))


def read_results(path: Path) -> dict[str, Any]:
    """A results file of the harness, whatever it is called; raises as `results_of`."""
    return _results(path)
