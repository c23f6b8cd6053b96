"""Run folders of HELM as files: what a run is called, its instances one by one, what it recorded.

`scenario_state.json` holds every request, `per_instance_stats.json` HELM's figures of each instance.
Both may be gigabytes: they are read value by value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.json_stream import BrokenJSONError, Value, value_at, values
from lm_eval_calibration.redact import redact

STATE, SPEC, STATS = "scenario_state.json", "run_spec.json", "per_instance_stats.json"
STATES = "request_states"
_MODEL = re.compile(r"[,:]model(?:_deployment)?=([^,]+)")
RECORDED = ("max_prob", "exact_match", "predicted_index")

Key = tuple[str, int]
"""An instance's name, and the number of the trial (of other examples in the prompt)."""


class Instance(NamedTuple):
    """One instance of a trial: where it stands, the byte at which it begins, and its requests."""

    place: str
    start: int
    states: list[Any]


class Recorded(NamedTuple):
    """What HELM recorded of instances, by `Key`: the mean of each figure, by its name."""

    figures: Mapping[Key, Mapping[str, Any]]
    known: bool


def is_run(path: Path) -> bool:
    """Whether a file holds the requests of a run."""
    return path.name == STATE and path.is_file()


def log_file(path: Path) -> tuple[str, LogFile]:
    """The model of a run, and its requests' file, by `run_spec.json` or its folder's name."""
    folder = path.resolve().parent
    try:
        spec = json_text.read_object(folder / SPEC)
    except (InvalidInputError, OSError):
        spec = {}
    adapter = spec.get("adapter_spec")
    said = (
        adapter.get("model_deployment") or adapter.get("model")
        if isinstance(adapter, Mapping)
        else None
    )
    name = spec.get("name")
    name = name if isinstance(name, str) and name else folder.name
    named = _MODEL.search(name)
    model = said if isinstance(said, str) else named[1] if named else ""
    return model, LogFile(redact(_MODEL.sub("", name)), "", path)


def method_of(path: Path) -> str:
    """How a run asked: `adapter_spec.method`.

    Raises:
        InvalidInputError: the file does not say.
    """
    for field, value, _ in values(path, STATES):
        if field == STATES:
            break
        if field == "adapter_spec" and isinstance(value, Mapping):
            return str(value.get("method"))
    raise InvalidInputError(f"{path} is no run of HELM: no `adapter_spec` before `{STATES}`.")


def instances_of(path: Path) -> Iterator[Instance | BadLineError]:
    """The instances of a run; requests of one instance follow each other. What is cut off ends it."""
    states: list[Any] = []
    start, key, count = 0, None, 0
    try:
        for value in _states(path):
            own = identity(value.value)
            if states and own != key:
                count += 1
                yield Instance(f"instance {count:,}", start, states)
                states = []
            if not states:
                start, key = value.start, own
            states.append(value.value)
    except BrokenJSONError as error:
        yield BadLineError(str(error))  # (the last one may lack requests)
        return
    if states:
        yield Instance(f"instance {count + 1:,}", start, states)


def instance_at(path: Path, start: int) -> Any:
    """The first request of the instance that begins at a byte."""
    return value_at(path, start)


def identity(state: Any) -> tuple[Any, ...]:
    """Of which instance, perturbation and trial a request is."""
    if not isinstance(state, Mapping) or not isinstance(state.get("instance"), Mapping):
        return ()
    instance = state["instance"]
    return (
        str(instance.get("id")),
        str(instance.get("perturbation")),
        state.get("train_trial_index"),
    )


def recorded(path: Path) -> Recorded:
    """What `per_instance_stats.json` beside a run's requests says; perturbed instances are left out.

    Raises:
        InvalidInputError: it is damaged.
    """
    stats = path.resolve().parent / STATS
    if not stats.is_file():
        return Recorded({}, False)
    found: dict[Key, dict[str, Any]] = {}
    for _, value, _ in values(stats):
        if not isinstance(value, Mapping) or value.get("perturbation"):
            continue
        try:
            figures = {
                stat["name"]["name"]: stat.get("mean")
                for stat in value["stats"]
                if stat["name"]["name"] in RECORDED
            }
            key = str(value["instance_id"]), int(value["train_trial_index"])
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InvalidInputError(f"{stats}: an entry is damaged ({error!r}).") from None
        found.setdefault(key, {}).update(figures)
    return Recorded(found, True)


def _states(path: Path) -> Iterator[Value]:
    return (value for value in values(path, STATES) if value.field == STATES)
