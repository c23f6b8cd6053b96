"""Where secrets may stand in what the harness writes, and where a name is a task's instead."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lm_eval_calibration.redact import SecretPlace

_BY_TASK = frozenset(
    {"results", "groups", "group_subtasks", "configs", "versions", "n-shot", "n-samples",
     "higher_is_better", "task_hashes"}
)  # fmt: skip
_ARGUMENT = re.compile(r"gen_args_\d+|arg_\d+")


@dataclass(frozen=True)
class _Tasks(SecretPlace):
    """A mapping by tasks, of which one may be called `password`."""

    def under(self, name: str) -> SecretPlace:
        return SecretPlace()


@dataclass(frozen=True)
class Results(SecretPlace):
    """A results file."""

    def under(self, name: str) -> SecretPlace:
        """The place of a field."""
        return _Tasks() if name in _BY_TASK else super().under(name)


@dataclass(frozen=True)
class _Arguments(SecretPlace):
    """What a model was asked: prompts, which are data, and settings of how to answer."""

    data: bool = True

    def under(self, name: str) -> SecretPlace:
        return self if _ARGUMENT.fullmatch(name) else SecretPlace().under(name)


@dataclass(frozen=True)
class SecretLine(SecretPlace):
    """A line of a samples file: a document's texts, the user's own, and settings."""

    data: bool = True

    def under(self, name: str) -> SecretPlace:
        """The place of a field."""
        return _Arguments() if name == "arguments" else SecretPlace(data=True)


RESULTS, LINE, DATA = Results(), SecretLine(), SecretPlace(data=True)
