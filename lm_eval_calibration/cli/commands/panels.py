"""The commands of `lm-calib`, in groups, in the order in which a user needs them."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

PANELS: dict[str, tuple[str, ...]] = {
    "To begin": ("run", "demo-model", "tasks", "metrics", "formats"),
    "Runs that are over": ("score", "diagram", "report", "compare", "leaderboard"),
    "Better probabilities": ("fit", "sets", "thresholds"),
    "Answers in words": ("beliefs", "pools", "fractal"),
    "Trainings": ("checkpoints", "swag", "ood"),
    "To plan and to publish": ("size", "cost", "noise", "card", "scrub"),
}
"""By title."""
OTHERS = "Others"
"""Of commands that are in no group."""


class InPanels(TyperGroup):
    """`lm-calib` itself, whose help shows its commands so."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every command, group by group."""
        order = [name for names in PANELS.values() for name in names]
        there = super().list_commands(ctx)
        return [n for n in order if n in there] + [n for n in there if n not in order]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command, which knows its group."""
        found: Any = super().get_command(ctx, cmd_name)
        if found is not None:
            panels = (title for title, names in PANELS.items() if cmd_name in names)
            found.rich_help_panel = next(panels, OTHERS)
        return found
