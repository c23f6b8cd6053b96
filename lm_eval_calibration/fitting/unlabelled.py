"""Calibrators that read no labels, of more than one logged run: DACA, PriDe, contextual calibration."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.calibrators import Calibrator, Training
from lm_eval_calibration.calibrators.daca import Aligned, align
from lm_eval_calibration.calibrators.prior import preference
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.beliefs import Beliefs, of_runs
from lm_eval_calibration.fitting.task_documents import (
    LabelledTask,
    Selection,
    evaluation_split,
    labelled,
)
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.logs.formats.harness.lines import again
from lm_eval_calibration.models.shared.fingerprint import name_of, weights_of
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Floats, Predictions
from lm_eval_calibration.prompt_format import ALPHABETS, ASKING, TEXTS

NOTHING = ("N/A", "[MASK]", "")
"""What stands for a question without content (Zhao et al., 2021)."""


REFERENCE_SURER = (
    "T is below 1: the reference is the surer of the two, so it does not show the other to be over-confident. See "
    "what `lm-calib score` says of the reference: what is not calibrated itself calibrates nothing"
)
"""What is said of a temperature that sharpens."""
ONE_ORDER = "It is for runs of --model option_tokens in one order; of several orders the mean has taken the preference out."
"""What is said of a preference that was learnt from several orders."""


@dataclass(frozen=True)
class Unlabelled:
    """A calibrator, and what was found on the way.

    calibrator: fitted; beliefs: of the documents, where a run has them; notes: in words, for readers.
    """

    calibrator: Calibrator
    beliefs: Beliefs | None
    notes: tuple[str, ...] = ()


def daca(tuned: Run, reference: Run, *, per_task: bool = False) -> Unlabelled:
    """The temperature at which a tuned model is as sure as its pre-trained sibling; see `calibrators.daca`.

    Args:
        tuned: a run whose temperature is sought.
        reference: a run of its sibling on the same documents.
        per_task: a temperature for each task.

    Raises:
        InvalidInputError: no document in common, or as `align`.
    """
    matched = match([tuned, reference], allow_partial=True)
    one, other = matched.runs
    beliefs = of_runs([one])
    against = {upstream_name(name): s.predictions for name, s in other.samples.items()}
    parts = beliefs.predictions if per_task else {"": _joined(beliefs.predictions)}
    references = (
        against if per_task else {"": _joined({t: against[t] for t in beliefs.predictions})}
    )
    found: dict[str, Aligned] = {t: align(p, references[t]) for t, p in parts.items()}
    parameters = {t: {"temperature": np.array(a.temperature)} for t, a in found.items()}
    training = replace(beliefs.training, label_free=True)
    notes = [
        f"{f'{task}: ' if task else ''}T = {a.temperature:.3f}; both models prefer the same option on "
        f"{a.agreed:,} of {a.documents:,} documents"
        for task, a in found.items()
    ]
    notes += [
        f"{f'{task}: ' if task else ''}{REFERENCE_SURER}"
        for task, a in found.items()
        if a.temperature < 1
    ]
    notes += [f"left out: {text}" for text in matched.left_out]
    return Unlabelled(Calibrator("temperature", parameters, training), beliefs, tuple(notes))


def _joined(parts: Mapping[str, Predictions]) -> Predictions:
    return Predictions.concatenate(list(parts.values()))


def pride(run: Run, *, per_task: bool = False) -> Unlabelled:
    """What a model prefers of letters, whatever option stands at them, by questions shown in several orders.

    For each document the softmax over letters of the mean over orders of log p(letter); their mean over
    documents is the preference that a run in one order is divided by. Source: PriDe, Zheng et al., ICLR
    2024, eq. 7 and 8.

    Args:
        run: of `--model option_tokens --model_args orders=N`, whose lines say the preference.
        per_task: a preference for each task.

    Raises:
        InvalidInputError: options were shown in one order.
    """
    found = {upstream_name(task): list(_preferences(s)) for task, s in run.samples.items()}
    training = of_runs([run]).training
    return Unlabelled(_prior(found, training, per_task), None, (*_in_words(found), ONE_ORDER))


def _preferences(samples: Samples) -> Iterator[Floats]:
    """(K,) of each document of a run."""
    for sample in again(samples.path, samples.offset):
        stated = sample.get("stated")
        letters = stated.get("preference") if isinstance(stated, Mapping) else None
        if isinstance(letters, list) and len(letters) > 1:
            yield np.array([float(p) for p in letters])


def contextual(lm: Any, selection: Selection, *, per_task: bool = False) -> Unlabelled:
    """What a model prefers of letters where there is no question: `N/A` and its like in the place of all texts.

    The mean of p(letter) over three such prompts for each number of options, weighted by how many documents
    have as many, with the run's solved examples. Source: Zhao et al., ICML 2021, section 5.

    Args:
        lm: any model of the harness that scores options.
        selection: the tasks; of each the first document of each number of options makes a prompt.
        per_task: a preference for each task.

    Raises:
        InvalidInputError: options that are texts, or a prompt that holds nothing of its document.
    """
    found, parts = {}, []
    for name, task in selection.load().items():
        part = labelled(
            name, task, selection.split or evaluation_split(task), selection.prompting, lm
        )
        if part.prompts.options == TEXTS and part.prompts.beliefs not in ASKING:
            raise InvalidInputError(
                f"`contextual` is of fixed letters, and the options of `{name}` are texts of each document's own."
            )
        parts.append(part)
        found[name] = _content_free(lm, part)
    training = Training(
        dict.fromkeys(found, 0),
        base_model=name_of(lm),
        fingerprint=weights_of(lm),
        prompts={p.task: p.prompts for p in parts},
    )
    return Unlabelled(
        _prior(found, training, per_task),
        None,
        _in_words(found, "prompts, each as often as documents have as many options"),
    )


def _content_free(lm: Any, part: LabelledTask) -> list[Floats]:
    """(K,) probabilities of options without a question, for each number K of options, as often as K is met."""
    sizes: dict[int, int] = {}
    for request in part.requests:
        sizes[request.doc_id] = sizes.get(request.doc_id, 0) + 1
    first = {size: number for number, size in reversed(sizes.items())}
    met = Counter(sizes.values())
    found = []
    for size, number in first.items():
        mine = [r for r in part.requests if r.doc_id == number]
        found += [row for row in _of_nothing(lm, part.task, mine) for _ in range(met[size])]
    return found


def _of_nothing(lm: Any, task: str, mine: Sequence[Any]) -> list[Floats]:
    """Three times (K,) probabilities of the options of a document without its texts."""
    requests = []
    for nothing in NOTHING:
        for request in mine:
            context, option = request.args
            emptied = _without(context, request.doc, nothing)
            if emptied == context:
                raise InvalidInputError(
                    f"`contextual`: the prompt of `{task}` holds none of its document's texts."
                )
            changed = copy.copy(request)
            changed.arguments = (emptied, option)
            requests.append(changed)
    answers = np.array([value for value, _ in lm.loglikelihood(requests)]).reshape(len(NOTHING), -1)
    return list(np.exp(answers - np.logaddexp.reduce(answers, axis=1, keepdims=True)))


def _without(context: str, doc: Mapping[str, Any], nothing: str) -> str:
    """A prompt with nothing in the place of its document's texts, the longest first."""
    for text in sorted(set(_texts(doc)), key=len, reverse=True):
        at = context.rfind(text)
        if at >= 0:
            context = context[:at] + nothing + context[at + len(text) :]
    return context


def _texts(value: Any) -> Iterator[str]:
    """All texts of a document that are more than a letter or a number."""
    if isinstance(value, str):
        if len(value.strip()) > 1 and not value.strip().isdigit():
            yield value.strip()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)


def _prior(found: Mapping[str, Sequence[Floats]], training: Training, per_task: bool) -> Calibrator:
    for task, rows in found.items():
        if not rows:
            raise InvalidInputError(
                f"`{task}` says nothing of several orders: take a run of --model option_tokens with --model_args "
                "orders=4 (as many as there are options)."
            )
    parts = found if per_task else {"": [row for rows in found.values() for row in rows]}
    parameters = {task: {"preference": _preference(rows)} for task, rows in parts.items()}
    return Calibrator("prior", parameters, replace(training, label_free=True))


def _preference(rows: Sequence[Floats]) -> Floats:
    """(K,) how much more than its even share each letter gets, on average over those that have it."""
    return preference(np.concatenate(rows), np.array([len(row) for row in rows], dtype=np.intp))


def _in_words(found: Mapping[str, Sequence[Floats]], of: str = "documents") -> tuple[str, ...]:
    return tuple(
        f"{task}: "
        + ", ".join(f"{a} {p:.2f}" for a, p in zip(ALPHABETS[0], _preference(rows), strict=False))
        + f" times as probable as an even share would have it, whatever is asked ({len(rows):,} {of})"
        for task, rows in found.items()
        if rows
    )
