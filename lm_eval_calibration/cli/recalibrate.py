"""`--calibrator`, `--cross_fit`: logged beliefs as a fitted calibrator would have had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.calibrator import ALL
from lm_eval_calibration.calibrators.crossfit import FOLDS, cross_fit, folds_of
from lm_eval_calibration.calibrators.held_out import AS_OPTIONS, HeldOut
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.formats.harness.recorded import model_of, prompts_of
from lm_eval_calibration.logs.run import AS_SCORES, MAPPED, Samples
from lm_eval_calibration.names import of_task, upstream_name
from lm_eval_calibration.prompt_format import PromptFormat

SEVERAL_ORDERS = (
    "the mean over the run's several orders has taken out what is preferred of letters already, and the calibrator "
    "divides by it once more: use it on runs in one order"
)


def recalibrated(
    runs: Sequence[Run], folder: str, allow_other: bool = False, crosswise: bool = False
) -> list[Run]:
    """The runs with every belief mapped, plain ones only.

    Args:
        runs: with beliefs.
        folder: of the calibrator.
        allow_other: use it on another model, or on other prompts.
        crosswise: map documents that it was fitted on by its method, each fifth by what was fitted on the
            others, rather than refuse them.

    Raises:
        InvalidInputError: the calibrator does not fit.
        OtherModelError: it was fitted on another model, and that is not allowed.
        OtherPromptsError: it was fitted on prompts of another format, likewise.
        SeenDocumentsError: it was fitted on some of the documents.
    """
    calibrator = Calibrator.from_pretrained(folder)
    return [_run(run, calibrator, folder, allow_other, crosswise) for run in runs]


def cross_fitted(runs: Sequence[Run], method: str) -> list[Run]:
    """The runs with every task's beliefs mapped crosswise: each fifth by what was fitted on the others.

    Raises:
        InvalidInputError: no such method, or one that does not apply; too few documents.
    """
    return [
        replace(run, samples={name: _crossed(s, method) for name, s in run.samples.items()})
        for run in runs
    ]


def _crossed(samples: Samples, method: str) -> Samples:
    if len(samples) < FOLDS:
        raise invalid(
            "--cross_fit",
            f"of at least {FOLDS} documents",
            f"{len(samples)}{of_task(samples.task)}",
        )
    fold = folds_of(samples.doc_hash, len(samples))
    predictions = cross_fit(method, {"": samples.predictions}, {"": fold})[""]
    note = (
        f"{MAPPED}mapped crosswise: each fifth of its {len(samples):,} documents by {method}, fitted on "
        "the other four"
    )
    notes = (*(text for text in samples.notes if text != AS_SCORES), note)
    return replace(samples, predictions=predictions, normalised={}, notes=notes)


def _run(run: Run, calibrator: Calibrator, folder: str, allow_other: bool, crosswise: bool) -> Run:
    seen = {n: s for n, s in run.samples.items() if calibrator.training.seen(s.doc_hash).any()}
    crossed = _seen_crossed(seen, calibrator, folder) if crosswise else {}
    model, prompts = model_of(run.results), prompts_of(run.results, run.samples)
    mapped = {}
    for name, samples in run.samples.items():
        task, said = upstream_name(name), list[str]()
        held_out = HeldOut(
            calibrator.training,
            folder,
            said.append,
            allow_other=allow_other,
            label_free=calibrator.label_free,
            spelled=AS_OPTIONS,
        )
        held_out.check_model(*model)
        held_out.check_prompts({task: prompts.get(task, PromptFormat())})
        if name in crossed:
            mapped[name] = crossed[name]
            continue
        held_out.check_documents({task: samples.doc_hash})
        if calibrator.method == "prior" and _orders(run) > 1:
            said.append(SEVERAL_ORDERS)
        mapped[name] = _mapped(samples, calibrator, [text.removesuffix(".") for text in said])
    return replace(run, samples=mapped)


def _seen_crossed(
    seen: dict[str, Samples], calibrator: Calibrator, folder: str
) -> dict[str, Samples]:
    """Documents that a calibrator was fitted on, mapped by fits of its method on the others of them."""
    if not seen or calibrator.label_free:
        return {}
    per_task = set(calibrator.parameters) != {ALL}
    tasks = {upstream_name(name): samples for name, samples in seen.items()}
    mapped = cross_fit(
        calibrator.method,
        {task: samples.predictions for task, samples in tasks.items()},
        {task: folds_of(samples.doc_hash, len(samples)) for task, samples in tasks.items()},
        per_task=per_task,
    )
    note = (
        f"{MAPPED}mapped crosswise, each fifth of its documents by {calibrator.method}, fitted on the other four, for "
        f"`{folder}` was fitted on them"
    )
    return {
        name: replace(
            samples,
            predictions=mapped[upstream_name(name)],
            normalised={},
            notes=(*samples.notes, note),
        )
        for name, samples in seen.items()
    }


def _orders(run: Run) -> int:
    """In how many orders the run showed options."""
    config = run.results[0].get("config") if run.results else None
    asked = config.get("option_tokens") if isinstance(config, dict) else None
    orders = asked.get("orders") if isinstance(asked, dict) else None
    return orders if isinstance(orders, int) else 1


def _mapped(samples: Samples, calibrator: Calibrator, said: Sequence[str]) -> Samples:
    predictions = calibrator.transform(samples.predictions, upstream_name(samples.task))
    note = f"{MAPPED}those of the model and a calibrator ({calibrator.method})"
    notes = (*(text for text in samples.notes if text != AS_SCORES), note, *said)
    return replace(samples, predictions=predictions, normalised={}, notes=notes)
