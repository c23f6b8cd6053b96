"""Arguments that several commands share, each with one meaning and one help text."""

from __future__ import annotations

from typing import Annotated

import typer

Runs = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        help="Samples files, folders of runs made with --log_samples, quoted globs, or tables; "
        "`label=path` names a run.",
        show_default=False,
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated names, as `lm-calib metrics` lists them, e.g. acc,ece,ece_norm.",
        show_default=False,
    ),
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave out lines that cannot be read, and count them.")
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="NAME",
        help="Of tasks with several filters the one to read, e.g. flexible-extract; else the first.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")]
CalibratorFolder = Annotated[
    str | None,
    typer.Option(
        "--calibrator",
        metavar="FOLDER",
        help="Map the beliefs by what `lm-calib fit` made of other documents.",
        show_default=False,
    ),
]
CrossFit = Annotated[
    str | None,
    typer.Option(
        "--cross_fit",
        metavar="METHOD",
        help="Map each fifth of a task's beliefs by what METHOD (platt, isotonic, ...) makes of its other documents.",
        show_default=False,
    ),
]
Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        metavar="FIELD",
        help="Field of documents (a column of a table): those of one value, such as questions about one passage, are "
        "drawn together. `auto` finds passages, `none` draws each document by itself.",
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="FIELD",
        help="Groups of documents by a field of theirs (a column of a table): which of them differ, and "
        "multicalibration over all.",
        show_default=False,
    ),
]
AllowOther = Annotated[
    bool,
    typer.Option(
        "--allow-other",
        help="Take a calibrator of another model or of other prompts, and say so.",
    ),
]
Replicates = Annotated[
    int, typer.Option(min=2, help="Bootstrap replicates and null draws.", show_default=True)
]


def names(metrics: str | None) -> list[str] | None:
    """The metrics' names of a comma-separated list; an unknown one is an error at once."""
    if metrics is None:
        return None
    from lm_eval_calibration.metrics.table import bind

    found = [name.strip() for name in metrics.split(",") if name.strip()]
    return [bind(name).name for name in found] or None
