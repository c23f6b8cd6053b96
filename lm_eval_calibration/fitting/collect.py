"""One pass of a model over labelled documents: its features, from the store where they are there.

Under `accelerate launch` the processes share the pass, part by part, and the first has all of it.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features, FeatureStore, Key
from lm_eval_calibration.features.table import check
from lm_eval_calibration.fitting.sharing import Progress, shared
from lm_eval_calibration.fitting.task_documents import LabelledTask
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.fingerprint import name_of, stored_by, weights_of
from lm_eval_calibration.models.shared.instances import OptionsDocument, documents
from lm_eval_calibration.redact import redact
from lm_eval_calibration.scoring.contract import Answers

PART_DOCUMENTS = 64
"""A part of so many documents is one process's, and is written at once; a run that is killed loses
less than one. What is computed does not depend on who computes it."""


def collect(
    lm: Any,
    asked: Sequence[LabelledTask],
    store: FeatureStore | None = None,
    *,
    hidden: bool = True,
    told: str = "",
    progress: Progress | None = None,
) -> list[Features]:
    """The features of labelled documents, for each task's.

    Args:
        lm: `hf-fast` for hidden states; any model of the harness without.
        asked: documents of tasks.
        store: where parts are looked up, and written to.
        hidden: whether hidden states are wanted; else they are (N, 0).
        told: the model's arguments, on which more may depend than on its weights.
        progress: called with the number of documents done since the last call.

    Raises:
        InvalidInputError: no hidden states can be had of this model, or one is NaN.
        SystemExit: in all processes but the first, whose work is done with their share.
    """
    if hidden and not isinstance(lm, FastHFLM):
        raise InvalidInputError(
            f"`--model` must be hf-fast, for hidden states are read; got {type(lm).__name__}."
        )
    parts = [_Part(of, requests) for of in asked for requests in _parts(of.requests)]
    model = "" if store is None else _identity(lm, told)
    found = shared(lm, parts, lambda part: _looked_up(lm, *part, store, hidden, model), progress)
    return [
        Features.concatenate([f for part, f in zip(parts, found, strict=True) if part.of is each])
        for each in asked
    ]


class _Part(NamedTuple):
    """Whole documents of a task, by their requests."""

    of: LabelledTask
    requests: list[Any]


def _looked_up(
    lm: Any,
    asked: LabelledTask,
    requests: list[Any],
    store: FeatureStore | None,
    hidden: bool,
    model: str,
) -> Features:
    """Features of a part, from the store if they are there; what is no number is not kept."""
    if store is None:
        return check(_features(lm, asked, requests, hidden))
    key = _key(lm, asked, requests, hidden, model)
    found = store.get(key)
    if found is None:
        found = check(_features(lm, asked, requests, hidden))
        if hidden or len(found.predictions):
            store.put(key, found)
    return found


def _parts(requests: list[Any]) -> Iterator[list[Any]]:
    """Requests in parts of whole documents."""
    by_document = [list(group) for _, group in groupby(requests, key=lambda r: r.doc_id)]
    for start in range(0, len(by_document), PART_DOCUMENTS):
        part = by_document[start : start + PART_DOCUMENTS]
        yield [request for document in part for request in document]


def _key(lm: Any, asked: LabelledTask, requests: list[Any], hidden: bool, model: str) -> Key:
    prompts = json.dumps([request.args for request in requests])
    network = getattr(lm, "model", None)  # (of vLLM: an engine, which shows no parameters)
    dtype = str(next(network.parameters()).dtype) if isinstance(network, torch.nn.Module) else ""
    return Key(
        model=model,
        revision=str(getattr(lm, "revision", "")),
        dtype=dtype.removeprefix("torch.") + ("" if hidden else ", scores"),
        task=asked.task,
        split=asked.split,
        prompts=hashlib.sha256(prompts.encode()).hexdigest(),
    )


def _identity(lm: Any, told: str) -> str:
    """By its weights; of a model that adds to them, or whose weights we do not see, by what it was told."""
    weights = weights_of(lm)  # (of a server's model the name is all that is known)
    known = stored_by(weights) if weights else redact(name_of(lm))
    if type(lm) is FastHFLM:
        return known
    return f"{type(lm).__name__} {hashlib.sha256(told.encode()).hexdigest()} {known}"


def _features(lm: Any, asked: LabelledTask, requests: list[Any], hidden: bool) -> Features:
    groups = documents(requests)
    first = {group.options[0][0]: row for row, group in enumerate(groups)}
    states: dict[int, np.ndarray] = {}

    def observe(found: Answers) -> None:
        values = found.hidden.float().cpu().numpy()
        states.update(
            {first[number]: values[i] for i, number in enumerate(found.requests) if number in first}
        )

    scored = lm.observed(requests, observe, True) if hidden else _quietly(lm, requests)
    rows = [[scored[numbers[0]][0] for numbers in group.options] for group in groups]
    num_options = np.array([len(row) for row in rows], dtype=np.intp)
    logits = np.full((len(rows), int(num_options.max())), -np.inf)
    gold = np.zeros(logits.shape, dtype=bool)
    for n, (row, group) in enumerate(zip(rows, groups, strict=True)):
        logits[n, : len(row)] = row
        gold[n, asked.gold[requests[group.options[0][0]].doc_id]] = True
    return Features(
        asked.task,
        np.stack([states[n] for n in range(len(rows))]) if hidden else _nothing(groups),
        logits,
        num_options,
        gold,
        np.array([group.hash for group in groups], dtype=np.uint64),
    )


def _quietly(lm: Any, requests: list[Any]) -> list[tuple[float, bool]]:
    """Log-likelihoods, without a progress bar beside ours where the model lets us."""
    quiet = "disable_tqdm" in inspect.signature(lm.loglikelihood).parameters
    return list(lm.loglikelihood(requests, **({"disable_tqdm": True} if quiet else {})))


def _nothing(groups: list[OptionsDocument]) -> np.ndarray:
    return np.empty((len(groups), 0), dtype=np.float32)
