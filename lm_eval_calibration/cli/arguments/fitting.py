"""Arguments of the `fit` commands that say which model and which documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_calibration.errors import InvalidInputError

if TYPE_CHECKING:
    from lm_eval_calibration.fitting.task_documents import Selection

_MODEL = "A model's pass over tasks"
_PROMPTS = "Prompts"

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for what is fitted.")]
Model = Annotated[
    str, typer.Option(help="Model type, as `lm_eval` has it.", rich_help_panel=_MODEL)
]
ModelArgs = Annotated[
    str,
    typer.Option(
        "--model_args",
        metavar="KEY=VALUE,...",
        help="Its arguments, as `lm_eval` has them, e.g. pretrained=NAME,dtype=bfloat16.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Features = Annotated[
    Path | None,
    typer.Option(
        file_okay=False,
        help="Folder of the feature store; a pass that was made before is not made again. By "
        "default OUTPUT/features.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        metavar="TASK,...",
        help="Tasks, groups or tags: multiple choice, unless the command says otherwise.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(help="Split whose documents to fit on.", rich_help_panel=_MODEL),
]
Limit = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="So many documents of each task at most.",
        rich_help_panel=_MODEL,
        show_default=False,
    ),
]
Shots = Annotated[
    int | None,
    typer.Option(
        "--num_fewshot",
        min=0,
        help="Examples before each document; by default the task's own number.",
        rich_help_panel=_PROMPTS,
        show_default=False,
    ),
]
Chat = Annotated[
    bool,
    typer.Option(
        "--apply_chat_template",
        help="Put prompts into the model's chat template.",
        rich_help_panel=_PROMPTS,
    ),
]
IncludePath = Annotated[
    str | None,
    typer.Option(
        "--include_path",
        help="Folder of further task YAMLs.",
        rich_help_panel=_PROMPTS,
        show_default=False,
    ),
]
Device = Annotated[
    str | None, typer.Option(help="E.g. cpu, cuda:0.", rich_help_panel=_MODEL, show_default=False)
]
BatchSize = Annotated[
    str | None,
    typer.Option("--batch_size", help="As in `lm_eval`.", rich_help_panel=_MODEL),
]


def selection(
    tasks: str | None,
    split: str | None,
    limit: int | None,
    num_fewshot: int | None,
    apply_chat_template: bool,
    include_path: str | None,
) -> Selection:
    """What the options ask for.

    Raises:
        InvalidInputError: no tasks.
    """
    from lm_eval_calibration.fitting.task_documents import Prompting, Selection

    names = comma_separated(tasks)
    if not names:
        raise InvalidInputError("Give --tasks: labelled tasks, e.g. --tasks arc_easy,mmlu.")
    prompting = Prompting(num_fewshot, apply_chat_template, limit)
    return Selection(names, split, prompting, include_path)


def comma_separated(text: str | None) -> list[str]:
    """The parts of a list such as `arc_easy,mmlu`."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
