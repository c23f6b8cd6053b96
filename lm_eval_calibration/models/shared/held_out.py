"""Held out by construction: what models ask of the artifact they use, before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.calibrators.held_out import HeldOut
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.fingerprint import name_of, weights_of
from lm_eval_calibration.models.shared.instances import OptionsDocument, document_hash
from lm_eval_calibration.models.shared.run_prompts import RunPrompts, announced, options_of
from lm_eval_calibration.names import model_of_arguments

log = logger(f"lm_eval.{__name__}")


def before_loading(
    training: Training,
    path: str,
    model_args: Mapping[str, Any],
    *,
    kind: str = "calibrator",
    allow_seen: bool = False,
    allow_other: bool = False,
    label_free: bool = False,
) -> HeldOut:
    """The checks of an artifact, of which those that need no model are made at once.

    Args:
        training: of the artifact.
        path: where it was read.
        model_args: of the model that will be loaded.
        kind: of the artifact, for readers.
        allow_seen: evaluate on documents that were fitted on, too.
        allow_other: use it on another model, or on other prompts.
        label_free: whether it was fitted without labels.

    Raises:
        OtherModelError: the model has another name, and weights were not compared by a fit.
        OtherPromptsError: the run's prompts are of another format.
        SeenDocumentsError: the run asks about documents that were fitted on.
    """
    held_out = HeldOut(
        training,
        path,
        log.warning,
        kind=kind,
        allow_seen=allow_seen,
        allow_other=allow_other,
        label_free=label_free,
    )
    run, name = announced(), model_of_arguments(model_args)
    if run is not None:
        held_out.check_documents(_fitted_and_asked(training, run))
    if allow_other:
        return held_out
    if run is not None:
        held_out.check_prompts({"": run.of("")})
    if name and not training.fingerprint:
        held_out.check_model(name, "")
    return held_out


def _fitted_and_asked(training: Training, run: RunPrompts) -> dict[str, NDArray[np.uint64]]:
    """By task that was fitted on and is asked, the hashes of the documents that will be asked about."""
    return {
        task: np.array([document_hash(doc) for doc in run.documents[task]()], dtype=np.uint64)
        for task in training.tasks
        if task in run.documents and training.documents.size
    }


def after_loading(held_out: HeldOut, lm: Any) -> None:
    """Compare the model that was loaded with the one that was fitted on.

    Raises:
        OtherModelError: it is another one.
    """
    held_out.check_model(name_of(lm), weights_of(lm))


def before_scoring(
    held_out: HeldOut,
    requests: Sequence[Any],
    documents: Sequence[OptionsDocument],
    beliefs: str | None = None,
) -> None:
    """Compare prompts and documents with those that were fitted on.

    Args:
        held_out: of the artifact.
        requests: of the harness.
        documents: that they ask about.
        beliefs: what is read of the answers, see `PromptFormat`; of requests that a wrapper makes
            they say themselves.

    Raises:
        OtherPromptsError: the prompts are of another format.
        SeenDocumentsError: some documents were fitted on.
    """
    run = announced() or RunPrompts()
    firsts = {document.task: document for document in reversed(documents)}
    prompts = {}
    for task, first in firsts.items():
        mine = [requests[number] for numbers in first.options for number in numbers]
        told = getattr(mine[0], "beliefs", beliefs) if mine else beliefs
        prompts[task] = run.of(task, options_of(mine) if mine else None, told)
    held_out.check_prompts(prompts)
    check_documents(held_out, documents)


def check_documents(held_out: HeldOut, documents: Sequence[OptionsDocument]) -> None:
    """Compare documents with those that were fitted on.

    Raises:
        SeenDocumentsError: some were.
    """
    hashes: dict[str, list[int]] = {}
    for document in documents:
        hashes.setdefault(document.task, []).append(document.hash)
    held_out.check_documents({t: np.array(h, dtype=np.uint64) for t, h in hashes.items()})


def refuse_cache(hook: Any, what: str) -> None:
    """Stop `--use_cache` where answers depend on more than their request.

    Raises:
        CalibrationError: the hook belongs to a cache.
    """
    if getattr(hook, "dbdict", None) is not None:
        raise CalibrationError(
            f"`--use_cache` cannot be used here: {what}. Run without it, or cache a run of the "
            "model itself."
        )
