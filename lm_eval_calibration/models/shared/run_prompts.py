"""How the run that is going on puts documents to its model, as `harness` announces it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from lm_eval_calibration.harness.api import hash_string, simple_parse_args_string
from lm_eval_calibration.prompt_format import (
    LOG_LIKELIHOODS,
    SERVER,
    PromptFormat,
    option_style,
)

ROOM = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""What the harness takes for the most tokens of a reply, the first one given."""


@dataclass(frozen=True)
class RunPrompts:
    """What a run's prompts have in common, and the shots of each task.

    Attributes:
        chat_template, system_instruction, multiturn: as in `PromptFormat`.
        shots: by the upstream name of a task.
        gen_kwargs: what the user gave for generation.
        documents: by the same name, what gives the documents that will be asked about, where tasks were
            read before the model.
    """

    chat_template: str | None = None
    system_instruction: str | None = None
    multiturn: bool | None = None
    shots: Mapping[str, int] = field(default_factory=dict)
    gen_kwargs: Mapping[str, Any] = field(default_factory=dict)
    documents: Mapping[str, Callable[[], Sequence[Any]]] = field(default_factory=dict)

    def of(self, task: str, options: str | None = None, beliefs: str | None = None) -> PromptFormat:
        """The format of a task's prompts."""
        shots = self.shots.get(task)
        turns = self.multiturn if shots and self.chat_template else None
        return PromptFormat(
            shots, self.chat_template, self.system_instruction, turns, options, beliefs
        )


_RUN: ContextVar[RunPrompts | None] = ContextVar("lm_eval_calibration_run_prompts", default=None)


def announced() -> RunPrompts | None:
    """Of the run that is going on; `None` where there is none, or nobody said."""
    return _RUN.get()


@contextlib.contextmanager
def announcing(prompts: RunPrompts) -> Iterator[None]:
    """Say how a run's prompts are made while it goes on."""
    token = _RUN.set(prompts)
    try:
        yield
    finally:
        _RUN.reset(token)


def given_for_generation() -> Mapping[str, Any]:
    """The user's `--gen_kwargs`, by the harness's own names; {} where there are none."""
    run = announced()
    return run.gen_kwargs if run is not None else {}


def gen_kwargs_of(told: Any) -> dict[str, Any]:
    """`RunPrompts.gen_kwargs` of `simple_evaluate`'s argument, a text or a dictionary."""
    given = simple_parse_args_string(told) if isinstance(told, str) else dict(told or {})
    room = [given.pop(name) for name in ROOM if name in given]
    return {**given, **({"max_gen_toks": room[0]} if room else {})}


def template_of(lm: Any, apply: bool | str) -> str:
    """`PromptFormat.chat_template` of a model, where it is applied or not."""
    if not apply:
        return ""
    text = lm.chat_template(apply)
    return hash_string(text) if text else SERVER


def instruction_of(text: str | None) -> str:
    """`PromptFormat.system_instruction` of a text."""
    return hash_string(text) if text else ""


def shots_of(task: Any) -> int:
    """`PromptFormat.shots` of a harness task."""
    return int(task.config.num_fewshot or 0)


def beliefs_of(lm: Any, task: Any = None) -> str | None:
    """`PromptFormat.beliefs` of a harness model; `None` for a task whose replies only the task reads."""
    generates = task is not None and task.OUTPUT_TYPE == "generate_until"
    found = getattr(lm, "source", None if generates else LOG_LIKELIHOODS)
    return None if found is None else str(found)


def options_of(requests: Sequence[Any]) -> str | None:
    """`PromptFormat.options` of a task, by the log-likelihood requests of its first document."""
    mine = [r for r in requests if r.doc_id == requests[0].doc_id]
    contexts = {str(r.args[0]) for r in mine}
    asked = {r.idx: str(r.args[1]) for r in mine if str(r.args[0]) or len(contexts) == 1}
    return option_style([asked[idx] for idx in sorted(asked)])
