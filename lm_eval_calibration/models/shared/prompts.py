"""Jinja templates of the prompts that wrappers ask: the user's, ours for a task, or the wrapper's own."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.templates import TEMPLATES
from lm_eval_calibration.yamls import task_yamls

FOLDER = "prompts"
"""In `task_yamls/`: `<wrapper>/<task>.jinja`."""
_LEAD = re.compile(r"\A\s*(?:question|q|problem)\s*:\s*", re.IGNORECASE)
_TRAIL = re.compile(r"\n[^\S\n]*(?:answer|a|solution)[^\S\n]*:\Z", re.IGNORECASE)


class Prompts:
    """The templates of one wrapper.

    Args:
        wrapper: its name.
        template: the user's: a jinja file for all tasks, a folder with `<task>.jinja` for some, or
            "" for none.

    Raises:
        InvalidInputError: no such file, or a folder without templates.
    """

    def __init__(self, wrapper: str, template: str) -> None:
        ours = _of_folder(task_yamls() / FOLDER / wrapper)
        given = _of_folder(Path(template)) if template and os.path.isdir(template) else {}
        self._by_task = {**ours, **given}
        self._for_all: str | None = None
        if template and os.path.isfile(template):
            self._for_all = _text(Path(template))
        elif template and not given:
            raise InvalidInputError(
                f"`template` must be a jinja file, or a folder with <task>.jinja, got `{template}`."
            )

    def render(self, task: str, default: str, **values: Any) -> str:
        """The template of a task, filled in.

        Raises:
            InvalidInputError: it names something that there is not, or is no template; it wants
                more than to write a text, or has no end.
        """
        given = self._for_all or self._by_task.get(task, default)
        return TEMPLATES.render(given, values).strip()


def bare_question(text: str) -> str:
    r"""A task's prompt without the words that frame its question.

    >>> bare_question("Question: How many?\nAnswer:"), bare_question("Q: Who?\nA:")
    ('How many?', 'Who?')
    """
    return _TRAIL.sub("", _LEAD.sub("", text).strip()).strip()


def _of_folder(folder: Path) -> dict[str, str]:
    return {file.stem: _text(file) for file in sorted(folder.glob("*.jinja")) if file.is_file()}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"`template`: {file} cannot be read ({error}).") from None
