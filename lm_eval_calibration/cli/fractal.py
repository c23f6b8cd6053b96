"""`lm-calib fractal score` and `export`: sentences of logged responses, each with its score."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lm_eval_calibration.cli.formats import number, print_tables
from lm_eval_calibration.cli.outputs import say_where, write_lines
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.exports.training_sets import Shape, TrainingResponse
from lm_eval_calibration.fitting.responses import LabelledResponses, of_samples
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.models.shared.scoring_sentences import ScoredResponse, ScorerWithEncoder
from lm_eval_calibration.predictions import Predictions

LINES = 4096
"""Responses that are scored at once."""


def score(
    runs: Sequence[str],
    scorer: ScorerWithEncoder,
    output: Path,
    label: str | None,
    filter_name: str | None,
    allow_seen: bool,
    skip_bad: bool,
    overwrite: bool,
) -> None:
    """Write a line for each response, and print how its confidence fares where labels are known.

    Raises:
        InvalidInputError: nothing to read, or responses to documents that the scorer was fitted on.
    """
    found = of_samples(runs, label, scorer.reading.split, filter_name, skip_bad=skip_bad)
    say(found.notes)
    seen = _seen(found, scorer)
    if seen and not allow_seen:
        raise InvalidInputError(
            f"{seen[0].upper()}{seen[1:]}: figures on them would flatter it. Score others, or pass "
            "--allow-seen, which says so."
        )
    say([f"{seen}: the figures flatter it."] if seen else [])
    scored = _scored(found, scorer)
    write_lines(output, _lines(found, scored), overwrite)
    sentences = sum(len(s.sentences) for s in scored)
    title = f"{len(scored):,} responses, {sentences:,} sentences"
    print_tables([title, *_figures(found, scored)])
    say_where(output)


def _lines(found: LabelledResponses, scored: Sequence[ScoredResponse]) -> Iterator[dict[str, Any]]:
    for r, s in zip(found.responses, scored, strict=True):
        yield {
            "doc_hash": f"{r.document:016x}",
            "question": r.question,
            "sentences": s.sentences,
            "scores": s.scores,
            "confidence": s.confidence,
            "label": None if math.isnan(r.label) else r.label,
        }


def export(
    runs: Sequence[str],
    scorer: ScorerWithEncoder | None,
    output: Path,
    shape: Shape,
    label: str | None,
    filter_name: str | None,
    skip_bad: bool,
    overwrite: bool,
) -> None:
    """Write what a trainer of language models reads, and say how much of it there is.

    Raises:
        InvalidInputError: nothing to read, or nothing that could be written of it.
    """
    how = scorer.reading.split if scorer else "sentences"
    found = of_samples(runs, label, how, filter_name, skip_bad=skip_bad)
    say(found.notes)
    if scorer is None:
        scored = [TrainingResponse(response) for response in found.responses]
    else:
        seen = _seen(found, scorer)
        say([f"{seen}: their scores are nearer to their labels than others'."] if seen else [])
        parts = zip(found.responses, _scored(found, scorer), strict=True)
        scored = [TrainingResponse(r, s.scores, s.confidence) for r, s in parts]
    lines = list(shape(scored))
    if not lines:
        raise InvalidInputError(
            f"Nothing to write of {len(scored):,} responses: no document has candidates that differ. Log "
            "several, e.g. with --model fractal or self_consistency and candidates=8."
        )
    write_lines(output, lines, overwrite)
    documents = len({r.document for r in found.responses})
    print_tables([f"{len(lines):,} lines of {len(scored):,} responses to {documents:,} documents"])
    say_where(output)


def _scored(found: LabelledResponses, scorer: ScorerWithEncoder) -> list[ScoredResponse]:
    scored: list[ScoredResponse] = []
    for start in range(0, len(found.responses), LINES):
        scored += scorer.score(found.responses[start : start + LINES])
    return scored


def _seen(found: LabelledResponses, scorer: ScorerWithEncoder) -> str:
    """How many of the responses are to documents that the scorer was fitted on; "" if none."""
    documents = np.array([r.document for r in found.responses], dtype=np.uint64)
    seen = int(scorer.scorer.training.seen(documents).sum())
    count = f"{seen:,} of these {len(documents):,} responses"
    return f"the scorer was fitted on the documents of {count}" if seen else ""


def _figures(found: LabelledResponses, scored: Sequence[ScoredResponse]) -> list[Any]:
    """A table of the confidences, where each response is plainly right or wrong."""
    labels = np.array([r.label for r in found.responses])
    if not np.isin(labels, (0.0, 1.0)).all():
        return []
    p = Predictions.from_confidences([s.confidence for s in scored], labels == 1)
    table = Table(box=None, pad_edge=False)
    for name in ("confidence of responses", "value", "95 % interval"):
        table.add_column(name, justify="left" if name.startswith("conf") else "right")
    table.add_row("mean", number(float(p.confidence.mean())), "")
    for name, e in evaluate(p, ["acc", "ece", "auroc", "aurc"]).items():
        ends = "" if math.isnan(e.low) else f"{number(e.low)} to {number(e.high)}"
        table.add_row(name, number(e.value), ends)
    return [table]
