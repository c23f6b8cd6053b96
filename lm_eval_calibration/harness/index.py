"""The lookup of twins: `calib_<name>` for every task, group and tag `<name>` of the harness.

Twins are derived from the harness's own configurations when somebody asks for one; listing tasks
shows only the curated names.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from lm_eval.tasks._factory import GROUP_FIELD_NAMES
from lm_eval.tasks._index import Entry, Kind
from lm_eval.tasks._yaml_loader import load_yaml

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.harness.lines import bridge
from lm_eval_calibration.harness.requests import MEANS
from lm_eval_calibration.messages import logger
from lm_eval_calibration.names import PREFIX

log = logger(__name__)

Config = dict[str, Any]
PACKAGE = "lm_eval_calibration"
_told: set[str] = set()
"""Names without a twin of which this process has said why."""


class TwinIndex(dict[str, Entry]):
    """The harness's task index, which also answers to `calib_<name>`.

    Iterating shows what the harness and its include paths define; twins appear when looked up.

    Args:
        index: the harness's.
        twin_class: the class of twins of generation tasks (true), or of multiple-choice tasks.
    """

    def __init__(self, index: Mapping[str, Entry], twin_class: Callable[[bool], type]) -> None:
        super().__init__(index)
        self._twin_class = twin_class

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
            return Entry(name, Kind.TAG, None, tags=self._tag(base))
        if base.kind is Kind.GROUP:
            return Entry(name, Kind.GROUP, None, cfg=self._group(name, _load(base)))
        if reason := why_no_twin(base):
            raise InvalidInputError(f"`{name}` cannot be had: {reason}. Run `{base.name}` instead.")
        return self._task_twin(base)

    def _tag(self, base: Entry) -> set[str]:
        """The twins of a tag's tasks; those that have none stay the upstream tasks they are."""
        kept = {n for n in base.tags if n in self and why_no_twin(self[n])}
        _say_kept(base.name, sorted(kept))
        return kept | {PREFIX + n for n in base.tags - kept}

    def _group(self, name: str, config: Config) -> Config:
        """A group's configuration with every member replaced by its twin."""
        twin = {**config, "group": name}
        if alias := config.get("group_alias"):
            twin["group_alias"] = PREFIX + alias
        listed = config.get("task") or []
        shared = {k: v for k, v in config.items() if k not in GROUP_FIELD_NAMES}
        members = [
            self._member(name, member, shared)
            for member in ([listed] if isinstance(listed, str) else listed)
        ]
        twin["task"] = [member for member, _ in members]
        _say_kept(name, [kept for _, kept in members if kept])
        return twin

    def _member(
        self, group: str, member: str | Config, shared: Config
    ) -> tuple[str | Config, str | None]:
        """The twin of a group's member; and its name if it has none and keeps upstream's metrics.

        Such a task runs under the twin's name all the same, so that the group and the upstream
        group can be asked for together.
        """
        if isinstance(member, dict) and "group" in member:
            return self._inner_group(member), None
        if isinstance(member, dict) and "task" not in member:
            return member, None  # as broken for us as it is upstream, which says so best
        settings = {"task": member} if isinstance(member, str) else dict(member)
        if not super().__contains__(settings["task"]):
            return self._inline(group, settings, shared)
        base = self[settings["task"]]
        settings["task"] = PREFIX + base.name
        alias = settings.get("task_alias")
        kept = why_no_twin(base) is not None
        if kept:
            self.setdefault(settings["task"], replace(base, name=settings["task"]))
            alias = alias or (base.cfg or {}).get("task_alias")
        if alias:
            settings["task_alias"] = PREFIX + alias
        return (settings if len(settings) > 1 else settings["task"]), base.name if kept else None

    def _inline(self, group: str, config: Config, shared: Config) -> tuple[Config, str | None]:
        """The twin of a task that is defined inside a group, with what the group's tasks share."""
        name = f"{group.removeprefix(PREFIX)}::{config['task']}"
        base = Entry(name, Kind.TASK, None, cfg={**shared, **config, "task": name})
        kept = why_no_twin(base) is not None
        renamed = _named(config, PREFIX + name)
        twin = Entry(PREFIX + name, Kind.TASK, None, cfg=renamed) if kept else self._task_twin(base)
        self.setdefault(twin.name, twin)
        return renamed, name if kept else None

    def _inner_group(self, member: Config) -> Config:
        """A group named or defined inside another group."""
        if super().__contains__(member["group"]):
            return {**member, "group": PREFIX + member["group"]}
        return self._group(member["group"], member)

    def _task_twin(self, base: Entry) -> Entry:
        """A task's twin: the same configuration, made by a class of ours."""
        name = PREFIX + base.name
        kind = self._twin_class(_is_generation_task(base))
        config = {**_named(_load(base), name), "class": kind, "twin_of": base.name}
        return Entry(name, Kind.PY_TASK, None, cfg=config)


def why_no_twin(entry: Entry) -> str | None:
    """Why a task has no calibration twin; `None` if it has one (as all groups and tags do)."""
    if entry.kind in (Kind.GROUP, Kind.TAG):
        return None
    if entry.kind is Kind.PY_TASK:
        if PACKAGE in str((entry.cfg or {}).get("class")):
            return f"`{entry.name}` has calibration metrics itself"
        return f"`{entry.name}` is a Python class; derive it from `CalibrationTask` to have its own"
    config = entry.cfg or {}
    output_type = config.get("output_type", "generate_until")
    if output_type == "generate_until":
        return _why_no_generation_twin(entry.name, config)
    if output_type != "multiple_choice":
        return f"`{entry.name}` is a {output_type} task, which has no twin"
    reported = [metric.get("metric") for metric in config.get("metric_list") or ()]
    if config.get("process_results") and "acc" not in reported:
        return (
            f"`{entry.name}` scores documents by a function of its own that reports no `acc`, "
            "so which option is right is not known"
        )
    return None


def _why_no_generation_twin(name: str, config: Config) -> str | None:
    if int(config.get("repeats") or 1) > 1:
        return f"`{name}` samples several answers to each question itself"
    listed = config.get("metric_list")
    if listed and not any(map(_scores_each_document, listed)):
        names = ", ".join(str(metric.get("metric")) for metric in listed)
        return f"none of the metrics of `{name}` ({names}) scores each document by a number"
    return None


def _scores_each_document(metric: Mapping[str, Any]) -> bool:
    """Whether an entry of a `metric_list` gives each document a number, so that it can be judged."""
    aggregation = metric.get("aggregation")
    if aggregation is None:
        aggregation = bridge().pools(str(metric.get("metric")))
    return getattr(aggregation, "__name__", aggregation) in MEANS


def twin_names(patterns: Iterable[str], index: TwinIndex) -> list[str]:
    """Names of the twins that the `--tasks` patterns ask for, among those that exist.

    A plain name whose task has no twin is answered in the log with the reason. A pattern means
    multiple-choice tasks wherever it matches one: generation twins want a model that states beliefs.
    """
    found: set[str] = set()
    for pattern in patterns:
        if not isinstance(pattern, str) or not pattern.startswith(PREFIX):
            continue
        stem = pattern.removeprefix(PREFIX)
        if stem[:1] in ("", "*", "?", "["):
            continue  # all of the harness at once is no calibration run
        bases = [n for n in fnmatch.filter(list(index), stem) if not n.startswith(PREFIX)]
        reasons = {base: why_no_twin(index[base]) for base in bases}
        if reasons.get(stem) and pattern not in _told:
            _told.add(pattern)
            log.error("`%s` cannot be had: %s. Run `%s` instead.", pattern, reasons[stem], stem)
        twins = [base for base, reason in reasons.items() if reason is None]
        chosen = [base for base in twins if not _is_generation_task(index[base])] or twins
        found |= {PREFIX + base for base in chosen}
    return sorted(found)


def _is_generation_task(entry: Entry) -> bool:
    """Whether an entry is a generation task of the harness."""
    config = entry.cfg or {}
    single = entry.kind not in (Kind.GROUP, Kind.TAG)
    return single and config.get("output_type", "generate_until") == "generate_until"


def _load(entry: Entry) -> Config:
    """A fresh copy of an entry's full configuration, functions resolved."""
    if entry.yaml_path is not None:
        return load_yaml(entry.yaml_path, resolve_func=True)
    if entry.cfg is None:
        raise CalibrationError(f"The harness's entry `{entry.name}` has no configuration.")
    return dict(entry.cfg)


def _say_kept(where: str, names: list[str]) -> None:
    if names:
        log.warning(
            "%s: %d member(s) have no twin and keep their upstream metrics: %s.",
            where, len(names), ", ".join(names),
        )  # fmt: skip


def _named(config: Mapping[str, Any], name: str) -> Config:
    named = {**config, "task": name}
    if alias := config.get("task_alias"):
        named["task_alias"] = PREFIX + alias
    return named
