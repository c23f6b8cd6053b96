"""`lm-calib scrub`: a run's copy to be published, and what was taken out of it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import typer

from lm_eval_calibration.cli.progress import reading
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.logs.scrub import default_output, files_of, scrub
from lm_eval_calibration.redact import secrets_in

KINDS = {
    "named": "under a telling name",
    "address": "in an address",
    "header": "in a header",
    "key": "in the shape of a key",
    "private key": "private key",
    "known": "seen before",
}


def run(folder: Path, output: Path | None) -> None:
    """Make the copy, and print how many secrets of each kind were in each file, never which."""
    results, samples, _ = files_of(folder)
    size = sum(path.stat().st_size for path in [*results, *samples])
    with reading(size) as progress:
        done = scrub(
            folder, output or default_output(folder), secrets_in(dict(os.environ)), progress
        )
    for path, found in done.found.items():
        if found:
            typer.echo(f"{path}: {_in_words(found)}")
    total: Counter[str] = sum(done.found.values(), Counter())
    files = f"{len(done.found):,} file{'s' if len(done.found) > 1 else ''}"
    typer.echo(f"{files}: {_in_words(total) if total else 'no secrets'}")
    if done.left_out:
        say([f"not copied: {len(done.left_out):,} files that are neither results nor samples."])
    typer.echo(done.folder)


def _in_words(found: Counter[str]) -> str:
    parts = [f"{count:,} {KINDS.get(kind, kind)}" for kind, count in sorted(found.items())]
    return f"{sum(found.values()):,} redacted ({', '.join(parts)})"
