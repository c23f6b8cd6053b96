"""`lm-calib fit swag`: documents, trainings, and what validation says of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer
from rich.table import Table

from lm_eval_calibration.cli.fit_words import points
from lm_eval_calibration.cli.formats import number, print_tables
from lm_eval_calibration.cli.progress import counting
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fitting.sources import ModelArguments
from lm_eval_calibration.fitting.swag import fit, material
from lm_eval_calibration.fitting.task_documents import Selection
from lm_eval_calibration.swag import PRESETS, Member, SwagSettings
from lm_eval_calibration.swag.settings import SCALES
from lm_eval_calibration.swag.targets import targets_of

FEW_JUDGES = 30
"""Fewer validation documents choose a scale by chance."""


def settings_of(preset: str, **given: Any) -> SwagSettings:
    """A preset, with the settings that were given.

    Raises:
        InvalidInputError: an unknown preset, or a setting that cannot be.
    """
    if preset not in PRESETS:
        raise invalid("--preset", " or ".join(PRESETS), f"`{preset}`")
    chosen = {name: value for name, value in given.items() if value is not None}
    swag = chosen.get("swag_learning_rate")
    if swag is not None and PRESETS[preset].anneal_epochs == 0:
        chosen["decayed_learning_rate"] = swag  # the decay ends where the snapshots begin
    return replace(PRESETS[preset], **chosen)


def run(
    model: ModelArguments,
    selection: Selection,
    output: Path,
    settings: SwagSettings,
    members: int,
    seed: int,
) -> None:
    """Train the members that are not there yet, and print what validation says."""
    logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
    selection.read()
    lm = model.create()
    found = material(lm, selection)
    say(found.notes)
    if not settings.target_modules:
        say([f"LoRA is put on {targets_of(lm.model).said}; --target_modules names other layers."])
    trained = fit(lm, found, settings, output, counting, members=members, seed=seed)
    tasks = ", ".join(found.training.tasks)
    title = (
        f"Trained on {len(found.learn):,} documents of {tasks}; NLL of {len(found.judge):,} "
        "validation documents"
    )
    print_tables([title, _table(trained)])
    if len(found.judge) < FEW_JUDGES:
        say(
            [
                f"{len(found.judge)} validation documents say little of which scale is best: {FEW_JUDGES} or more are advised."
            ]
        )
    edge = [
        str(i) for i, m in enumerate(trained) if settings.scale is None and m.scale == SCALES[-1]
    ]
    if edge:
        say(
            [
                f"member {', '.join(edge)}: the largest scale that was tried is the best: the snapshots "
                "are too much alike. A higher --swag_learning_rate spreads them, --scale widens the draws."
            ]
        )
    if told := points({i: m.scale for i, m in enumerate(trained)}):
        say([told])
    typer.echo(output.resolve())


def _table(trained: Sequence[Member]) -> Table:
    table = Table(box=None, pad_edge=False)
    scales = list(trained[0].about["validation"]["scales"])
    heads = ("member", "snapshots", "MAP", "SWA", *(f"scale {s}" for s in scales[1:]), "chosen")
    for head in heads:
        table.add_column(head, justify="right")
    for i, member in enumerate(trained):
        validation = member.about["validation"]
        table.add_row(
            str(i),
            str(member.moments.count),
            number(validation["map"]),
            *(number(validation["scales"][s]) for s in scales),
            f"{member.scale:g}" if member.scale else "0, a point",
        )
    return table
