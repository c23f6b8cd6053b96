"""The lookup of twins: `calib_<name>` for every task, group and tag `<name>` of the harness.

Twins are derived from the harness's own configurations when somebody asks for one; listing tasks
shows only the curated names.
"""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval.tasks._index import Entry, Kind
from lm_eval.tasks._yaml_loader import load_yaml

from lm_eval_calibration.errors import CalibrationError, InvalidInputError

log = logging.getLogger(__name__)

PREFIX = "calib_"
Config = dict[str, Any]


class TwinIndex(dict[str, Entry]):
    """The harness's task index, which also answers to `calib_<name>`.

    Iterating shows what the harness and its include paths define; twins appear when looked up.
    """

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or self._base(name) is not None

    def __missing__(self, name: str) -> Entry:
        base = self._base(name)
        if base is None:
            raise KeyError(name)
        self[name] = entry = self._twin(base)
        return entry

    def get(self, name: str, default: Any = None) -> Any:
        """The entry of `name`, a derived twin included, or `default`."""
        return self[name] if name in self else default  # noqa: SIM401 - this is `get`

    def _base(self, name: object) -> Entry | None:
        """The entry that `name` would be the twin of."""
        if not isinstance(name, str) or not name.startswith(PREFIX):
            return None
        base = name.removeprefix(PREFIX)
        return None if base.startswith(PREFIX) else super().get(base)

    def _twin(self, base: Entry) -> Entry:
        name = PREFIX + base.name
        if base.kind is Kind.TAG:
            members = self._members(base.name, sorted(base.tags))
            return Entry(name, Kind.TAG, None, tags=set(members))
        if base.kind is Kind.GROUP:
            return Entry(name, Kind.GROUP, None, cfg=self._group(name, _load(base)))
        if reason := why_no_twin(base):
            raise InvalidInputError(f"`{name}` cannot be had: {reason}. Run `{base.name}` instead.")
        return Entry(name, Kind.PY_TASK, None, cfg=_twin_config(name, base.name, _load(base)))

    def _group(self, name: str, config: Config) -> Config:
        """A group's configuration with every member replaced by its twin."""
        twin = {**config, "group": name}
        if alias := config.get("group_alias"):
            twin["group_alias"] = PREFIX + alias
        members = config.get("task")
        twin["task"] = self._members(name, [members] if isinstance(members, str) else members or [])
        return twin

    def _members(self, group: str, members: Iterable[str | Config]) -> list[Any]:
        """The twins of a group's or tag's members; those that have none keep upstream's metrics."""
        twins, kept = [], []
        for member in members:
            twin, without = self._member(group, member)
            twins.append(twin)
            kept += without
        if kept:
            log.warning(
                "%s: %d member(s) have no twin and keep their upstream metrics: %s.",
                group, len(kept), ", ".join(kept),
            )  # fmt: skip
        return twins

    def _member(self, group: str, member: str | Config) -> tuple[Any, list[str]]:
        """The twin of one member, and its name again if it can have none."""
        if isinstance(member, dict) and "group" in member:
            return self._inner_group(member), []
        name = member if isinstance(member, str) else member["task"]
        rest = {} if isinstance(member, str) else {k: v for k, v in member.items() if k != "task"}
        inline = not super().__contains__(name)
        if inline:
            base = Entry(f"{group.removeprefix(PREFIX)}::{name}", Kind.TASK, None, cfg=dict(rest))
            rest = {}
        else:
            base = self[name]
        reason = why_no_twin(base)
        twin = PREFIX + base.name
        if reason:
            self.setdefault(twin, _renamed(base, twin))
        elif inline:
            config = _twin_config(twin, base.name, _load(base))
            self.setdefault(twin, Entry(twin, Kind.PY_TASK, None, cfg=config))
        if alias := rest.get("task_alias"):
            rest["task_alias"] = PREFIX + alias
        return ({"task": twin, **rest} if rest else twin), ([base.name] if reason else [])

    def _inner_group(self, member: Config) -> Config:
        """A group named or defined inside another group."""
        if super().__contains__(member["group"]):
            return {**member, "group": PREFIX + member["group"]}
        return self._group(member["group"], member)


def why_no_twin(entry: Entry) -> str | None:
    """Why a task has no calibration twin; `None` if it has one (as all groups and tags do)."""
    if entry.kind in (Kind.GROUP, Kind.TAG):
        return None
    if entry.kind is Kind.PY_TASK:
        return f"`{entry.name}` is a Python class; derive it from `CalibrationTask` to have its own"
    config = entry.cfg or {}
    output_type = config.get("output_type", "generate_until")
    if output_type != "multiple_choice":
        return f"`{entry.name}` is a {output_type} task, and only multiple choice has twins so far"
    reported = [metric.get("metric") for metric in config.get("metric_list") or ()]
    if config.get("process_results") and "acc" not in reported:
        return (
            f"`{entry.name}` scores documents by a function of its own that reports no `acc`, "
            "so which option is right is not known"
        )
    return None


def twin_names(patterns: Iterable[str], index: TwinIndex) -> list[str]:
    """Names of the twins that the `--tasks` patterns ask for, among those that exist.

    A plain name whose task has no twin is answered in the log with the reason.
    """
    found: set[str] = set()
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.startswith(PREFIX):
            continue
        stem = pattern.removeprefix(PREFIX)
        if stem[:1] in ("", "*", "?", "["):
            continue  # all of the harness at once is no calibration run
        bases = [n for n in fnmatch.filter(list(index), stem) if not n.startswith(PREFIX)]
        for base in bases:
            reason = why_no_twin(index[base])
            if reason is None:
                found.add(PREFIX + base)
            elif base == stem:
                log.error("`%s` cannot be had: %s. Run `%s` instead.", pattern, reason, base)
    return sorted(found)


def _load(entry: Entry) -> Config:
    """A fresh copy of an entry's full configuration, functions resolved."""
    if entry.yaml_path is not None:
        return load_yaml(entry.yaml_path, resolve_func=True)
    if entry.cfg is None:
        raise CalibrationError(f"The harness's entry `{entry.name}` has no configuration.")
    return dict(entry.cfg)


def _twin_config(name: str, base: str, config: Mapping[str, Any]) -> Config:
    """The configuration of a task's twin: the same, made by `CalibrationTask`."""
    from lm_eval_calibration.tasks.twin import CalibrationTask

    return {**_named(config, name), "class": CalibrationTask, "twin_of": base}


def _renamed(base: Entry, name: str) -> Entry:
    """An upstream task under a twin's name, so that it may stand beside the original."""
    return Entry(name, base.kind, None, cfg=_named(_load(base), name))


def _named(config: Mapping[str, Any], name: str) -> Config:
    named = {**config, "task": name}
    if alias := config.get("task_alias"):
        named["task_alias"] = PREFIX + alias
    return named
