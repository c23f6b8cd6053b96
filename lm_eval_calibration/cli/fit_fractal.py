"""`lm-calib fit fractal`: responses, their embeddings, a training, and what it learned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.table import Table

from lm_eval_calibration.calibrators.artifact import FILES
from lm_eval_calibration.cli.formats import number, print_tables
from lm_eval_calibration.cli.progress import counting
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import claim_folder
from lm_eval_calibration.fitting.fractal import FittedScorer, check, fit
from lm_eval_calibration.fitting.responses import LabelledResponses, of_samples, of_table
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.judging import beliefs, log_odds
from lm_eval_calibration.fractal.losses import Weights
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.metrics.selective import auroc

METHOD = "fractal"


def responses(
    samples: Sequence[str] | None,
    table: Path | None,
    label: str,
    split: str,
    filter_name: str | None,
    skip_bad: bool = False,
) -> LabelledResponses:
    """From runs or from a table.

    Raises:
        InvalidInputError: neither or both are given.
    """
    if bool(samples) == (table is not None):
        raise InvalidInputError(
            "Give either --samples, runs that were logged, or --table, a file of labelled responses."
        )
    if table is not None:
        return of_table(table, split)
    found = of_samples(list(samples or ()), label, split, filter_name, skip_bad=skip_bad)
    say(found.notes)
    return found


def weights_of(text: str | None) -> Weights | None:
    """The weights of an option such as `0.8,0.1,0.1`; `None` to have them chosen."""
    if text is None or text == "auto":
        return None
    try:
        return Weights(*(float(part) for part in text.split(",")))
    except (TypeError, ValueError):
        raise invalid("--weights", "BAG,COSINE,CORRELATION or auto", f"`{text}`") from None


def run(
    labelled: LabelledResponses,
    reading: SentenceReading,
    settings: FractalSettings,
    output: Path,
    store: Path,
    device: str | None,
    calibrator: str,
    seed: int,
    overwrite: bool,
) -> None:
    """Fit, print what training says, and save."""
    check(labelled, calibrator)
    claim_folder(output, METHOD, FILES, overwrite=overwrite)
    encoder = Encoder(reading.encoder, store, device)
    texts = sum(len(r.sentences) for r in labelled.responses) + len(labelled.responses)
    with counting("encoding", texts) as encoding:
        found = fit(
            labelled,
            reading,
            settings,
            encoder,
            calibrator=calibrator,
            seed=seed,
            encoding=encoding,
            progress=lambda what: say([f"training: {what}"]),
        )
    found.scorer.save_pretrained(output, overwrite=overwrite)
    sentences = sum(len(r.sentences) for r in labelled.responses)
    tasks = ", ".join(labelled.tasks)
    title = (
        f"{len(labelled.responses):,} responses of {sentences:,} sentences from {tasks}; "
        f"{len(found.judge):,} {'pairs' if labelled.pairs else 'responses'} judge"
    )
    print_tables([title, _stages(found), "", *_in_words(found)])
    typer.echo(output.resolve())


def _stages(found: FittedScorer) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("trained on", "epochs", "loss of judging responses", "auroc"):
        table.add_column(name, justify="left" if name == "trained on" else "right", no_wrap=True)
    for i, stage in enumerate(found.trained.stages):
        name = "responses' labels" if i == 0 else f"pseudo-labels, round {i}"
        kept = " (kept)" if i == found.chosen else ""
        table.add_row(name + kept, str(stage.epochs), number(stage.loss), _auroc(found, i))
    return table


def _auroc(found: FittedScorer, stage: int) -> str:
    """Of responses' confidences, for those that judged; a dash for preferences."""
    if found.judge.pairs is not None:
        return "-"
    bags, settings = found.judge.bags, found.scorer.settings
    belief = beliefs(log_odds(found.trained.stages[stage].network, bags), bags, settings)
    return number(auroc(belief.log_right.double().exp().numpy(), bags.labels > 0.5))


def _in_words(found: FittedScorer) -> list[str]:
    words = ["weights of bag, cosine and correlation loss: {:g}, {:g}, {:g}".format(
        *found.trained.weights
    )]  # fmt: skip
    if found.scorer.calibrator is not None:
        words.append(f"sentences calibrated by their labels: {found.scorer.calibrator.method}")
    return words
