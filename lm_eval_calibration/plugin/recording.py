"""What a run's prompts are, told to our models before it and to its results after it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from lm_eval_calibration.harness.preparing import documents_of
from lm_eval_calibration.models.shared.fingerprint import weights_of
from lm_eval_calibration.models.shared.processes import joined
from lm_eval_calibration.models.shared.run_prompts import (
    RunPrompts,
    announcing,
    beliefs_of,
    gen_kwargs_of,
    given_for_generation,
    instruction_of,
    options_of,
    shots_of,
    template_of,
)
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.peers import watched
from lm_eval_calibration.prompt_format import APPLIED, to_config
from lm_eval_calibration.tasks.base import SPLIT, Twin

PLAIN_GROUPS = "plain_groups"
"""Under which the record names groups whose own rows are plain means."""
log = logging.getLogger("lm_eval_calibration")


def before_loading(
    call: Mapping[str, Any], tasks: Mapping[str, Any]
) -> AbstractContextManager[None]:
    """Announce what `simple_evaluate`'s arguments tell of all prompts and documents, before there is a model."""
    template = APPLIED if call.get("apply_chat_template") else ""
    system = instruction_of(call.get("system_instruction"))
    gen_kwargs = gen_kwargs_of(call.get("gen_kwargs"))
    _say_of_splits(call, tasks)
    limit, numbers = call.get("limit"), call.get("samples") or {}
    documents = {
        upstream_name(task.task_name): partial(documents_of, task, limit, numbers.get(name))
        for name, task in tasks.items()
    }
    return announcing(RunPrompts(template, system, gen_kwargs=gen_kwargs, documents=documents))


def _say_of_splits(call: Mapping[str, Any], tasks: Mapping[str, Any]) -> None:
    """Warn of tasks that know nothing of another split which the run's metadata names."""
    split = (call.get("metadata") or {}).get(SPLIT)
    others = [name for name, task in tasks.items() if not isinstance(task, Twin)]
    if split and others:
        log.warning(
            "`--metadata` names the split `%s`, of which only twins know: %s evaluated on the split of its own; run "
            "%s.", split, f"{', '.join(others)} is", ", ".join(f"calib_{name}" for name in others),
        )  # fmt: skip


def prompts_of(call: Mapping[str, Any]) -> RunPrompts | None:
    """What `evaluate`'s arguments tell; `None` where they are not what we know."""
    try:
        tasks = call["task_dict"].get("tasks", {})
        chat = call.get("apply_chat_template", False)
        return RunPrompts(
            template_of(call["lm"], chat),
            instruction_of(call.get("system_instruction")),
            bool(call.get("fewshot_as_multiturn", False)),
            {upstream_name(task.task_name): shots_of(task) for task in tasks.values()},
            given_for_generation(),
        )
    except Exception as error:  # noqa: BLE001 - a run must not fail for what is said of it
        log.debug("The prompts' format is not known: %r", error)
        return None


@contextlib.contextmanager
def recorded(call: Mapping[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Announce them, where they are known; gives what the results are to keep of them."""
    prompts = prompts_of(call)
    announced = contextlib.nullcontext() if prompts is None else announcing(prompts)
    ours = _ours(call)
    if ours:
        joined(getattr(call["lm"], "lm", call["lm"]))  # (of a cache its model)
    with announced, watched() if ours else contextlib.nullcontext():
        yield lambda: _record(call, prompts)


def _ours(call: Mapping[str, Any]) -> bool:
    """Whether a model or a task of the run is of this package."""
    given, lm = call.get("task_dict"), call.get("lm")
    tasks = given.get("tasks", {}) if isinstance(given, dict) else {}
    parts = (lm, getattr(lm, "lm", None), *(tasks.values() if isinstance(tasks, dict) else ()))
    return any(type(each).__module__.startswith("lm_eval_calibration.") for each in parts)


def _record(call: Mapping[str, Any], prompts: RunPrompts | None) -> dict[str, Any]:
    """What results keep for who fits on them: the weights' fingerprint, the format of each task."""
    try:
        found: dict[str, Any] = {"fingerprint": weights_of(call["lm"])}
        if plain := [n for n, g in call["task_dict"].get("groups", {}).items() if _is_plain(g)]:
            found[PLAIN_GROUPS] = plain
        if prompts is not None:
            formats = {}
            for task in call["task_dict"].get("tasks", {}).values():
                known, name = (
                    (_options(task), beliefs_of(call["lm"], task)),
                    upstream_name(task.task_name),
                )
                formats[name] = prompts.of(name, *known)
            found["prompts"] = to_config(formats)
        return found
    except Exception as error:  # noqa: BLE001 - likewise
        log.debug("The run is not recorded: %r", error)
        return {}


def _is_plain(group: Any) -> bool:
    """Whether a group's own rows are plain means."""
    listed = getattr(group, "aggregate_metric_list", None) or ()
    return any(not getattr(each, "weight_by_size", True) for each in listed)


def _options(task: Any) -> str | None:
    choosing = task.OUTPUT_TYPE == "multiple_choice" and task.instances
    return options_of(task.instances) if choosing else None
