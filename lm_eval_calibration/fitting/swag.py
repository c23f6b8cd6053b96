"""Documents of tasks, and SWAG members trained on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import claim_folder, remove_work, write_json
from lm_eval_calibration.fitting.sharing import refuse_to_share
from lm_eval_calibration.fitting.task_documents import (
    LabelledTask,
    Selection,
    evaluation_split,
    held_back,
    labelled,
    other_split,
)
from lm_eval_calibration.harness.tasks import all_splits
from lm_eval_calibration.json_text import read_object
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.fingerprint import name_of, stored_by, weights_of
from lm_eval_calibration.models.shared.instances import documents
from lm_eval_calibration.prompt_format import PromptFormat
from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.swag import Draw, Posterior, artifact, lora
from lm_eval_calibration.swag.artifact import Member
from lm_eval_calibration.swag.questions import OptionQuestion, cross_entropy, evaluate
from lm_eval_calibration.swag.schedule import steps
from lm_eval_calibration.swag.settings import SCALES, SwagSettings
from lm_eval_calibration.swag.training import train

TUNING_DRAWS = 5
WORK, BEGUN, JUDGED = ".training", "begun.json", "judged.json"
Counting = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]


@dataclass(frozen=True)
class SwagMaterial:
    """Documents to learn from and to judge by, of all tasks.

    Attributes:
        learn, judge: their questions, as tokens.
        training: what an artifact remembers of them.
        notes: what a reader must know of how they came about.
    """

    learn: list[OptionQuestion]
    judge: list[OptionQuestion]
    training: Training
    notes: list[str] = field(default_factory=list)


def material(lm: Any, selection: Selection) -> SwagMaterial:
    """Read the labelled documents of tasks.

    Args:
        lm: `hf-fast`, which turns them into tokens.
        selection: to learn from; without a split `train`, or `validation` where there is none.

    Raises:
        InvalidInputError: another model, a task without such a split, or several processes.
    """
    if not isinstance(lm, FastHFLM):
        raise InvalidInputError(
            f"`--model` must be hf-fast, whose packed passes are trained; got {type(lm).__name__}."
        )
    refuse_to_share(lm, "lm-calib fit swag")
    learn: list[OptionQuestion] = []
    judge: list[OptionQuestion] = []
    hashes: list[NDArray[np.uint64]] = []
    tasks: dict[str, int] = {}
    notes: list[str] = []
    prompts: dict[str, PromptFormat] = {}
    for name, task in selection.load().items():
        there, evaluated = all_splits(task), evaluation_split(task)
        first = selection.split or other_split(name, there, evaluated, ("train", "validation"))
        if first == evaluated:
            notes.append(f"`{name}` is evaluated on its {first} split, which is trained on here.")
        asked = labelled(name, task, first, selection.prompting, lm)
        prompts[name] = replace(asked.prompts, options=None, beliefs=None)  # (other tasks may come)
        parts = [_questions(lm, asked, notes)]
        if "validation" in there and "validation" not in (first, evaluated):
            other = labelled(name, task, "validation", selection.prompting, lm)
            parts.append(_questions(lm, other, notes))
            train_on, judge_by = parts[0][0], parts[1][0]
        else:
            train_on, judge_by = _parted(*parts[0])
        learn += train_on
        judge += judge_by
        hashes += [found for _, found in parts]
        tasks[name] = sum(len(found) for _, found in parts)
    documents = np.concatenate(hashes)
    training = Training(tasks, documents, name_of(lm), weights_of(lm), prompts)
    return SwagMaterial(learn, judge, training, notes)


def _questions(
    lm: FastHFLM, asked: LabelledTask, notes: list[str]
) -> tuple[list[OptionQuestion], NDArray[np.uint64]]:
    """Documents with a right option among several, and their hashes."""
    tokens = lm.encoded(asked.requests)
    found, hashes = [], []
    groups = documents(asked.requests)
    for group in groups:
        gold = asked.gold[asked.requests[group.options[0][0]].doc_id]
        if gold and len(group.options) > 1:
            found.append(
                OptionQuestion([tokens[numbers[0]] for numbers in group.options], tuple(gold))
            )
            hashes.append(group.hash)
    if len(found) < len(groups):
        notes.append(
            f"`{asked.task}`: {len(groups) - len(found)} of {len(groups)} documents of its "
            f"{asked.split} split name no right option, and are left out."
        )
    return found, np.array(hashes, dtype=np.uint64)


def _parted(
    questions: list[OptionQuestion], hashes: NDArray[np.uint64]
) -> tuple[list[OptionQuestion], list[OptionQuestion]]:
    back = held_back(hashes)
    if back is None:
        return questions, questions
    learn = [q for q, held in zip(questions, back, strict=True) if not held]
    return learn, [q for q, held in zip(questions, back, strict=True) if held]


def fit(
    lm: FastHFLM,
    found: SwagMaterial,
    settings: SwagSettings,
    output: Path,
    counting: Counting,
    *,
    members: int = 1,
    seed: int = 0,
) -> list[Member]:
    """Train members, each with weights and an order of documents of its own, and save them.

    What is there already is kept: whole members, and the last checkpoint of a half one.

    Raises:
        InvalidInputError: the folder holds members of other documents, settings or another model.
        OutputError: the folder holds something else, or cannot be written to.
    """
    executor = lm.trained([option for question in found.learn for option in question.options])
    total = steps(settings, len(found.learn)).total
    claim_folder(output, artifact.METHOD, artifact.FILES, work=WORK)
    trained = []
    for number in range(members):
        folder = output / artifact.MEMBER.format(number) if members > 1 else output
        digest = _digest(found, settings, seed + number)
        _refuse_other(folder, output / WORK / str(number), digest)
        if artifact.is_member(folder):
            trained.append(artifact.load(folder)[0])
            continue
        title = f"member {number + 1} of {members}, steps" if members > 1 else "steps"
        with counting(title, total) as progress:
            member = _member(
                lm, executor, found, settings, output / WORK / str(number), seed + number, progress
            )
        passes = sum(TUNING_DRAWS if scale else 1 for scale in _scales(settings))
        with counting("validation passes", passes) as progress:
            _judge(lm, executor, found, member, output / WORK / str(number), progress)
        member.about["digest"] = digest
        member.save(folder)
        trained.append(member)
    if members > 1:
        artifact.save_index(output, members)
    remove_work(output / WORK)
    return trained


def _member(
    lm: FastHFLM,
    executor: Executor[Any],
    found: SwagMaterial,
    settings: SwagSettings,
    work: Path,
    seed: int,
    progress: Callable[[int], None] | None,
) -> Member:
    """A training; the model is left without its weights."""
    adapted = lora.adapt(lm.model, settings, seed)
    try:
        result = train(
            adapted,
            replace(executor, model=adapted),
            found.learn,
            found.judge,
            settings,
            work,
            seed=seed,
            progress=progress,
        )
        config = artifact.adapter_config(adapted.peft_config[lora.ADAPTER])
    finally:
        adapted.unload()
    about = {"seed": seed, "validation": {"documents": len(found.judge), "map": result.best_loss}}
    return Member(
        result.moments,
        result.best,
        config,
        settings,
        found.training,
        settings.scale if settings.scale is not None else 0.0,
        about,
        result.log,
    )


def _judge(
    lm: FastHFLM,
    executor: Executor[Any],
    found: SwagMaterial,
    member: Member,
    work: Path,
    progress: Callable[[int], None] | None,
) -> None:
    """Validation NLL of the mean and of each scale; the best scale, unless one was given.

    Each is kept in the folder `work` once it is known.
    """
    kept = work / JUDGED
    nll: dict[str, float] = read_object(kept)["nll"] if kept.exists() else {}
    adapted = lora.adapt(lm.model, member.settings, 0)
    adapted.eval()
    judging = replace(executor, model=adapted)
    try:
        for scale in _scales(member.settings):
            if str(scale) not in nll:
                nll[str(scale)] = _nll(adapted, judging, found.judge, member, scale, progress)
                write_json(kept, {"nll": nll})
    finally:
        adapted.unload()
    member.about["validation"]["scales"] = nll
    if member.settings.scale is None:
        member.scale = float(min(nll, key=nll.__getitem__))


def _scales(settings: SwagSettings) -> list[float]:
    return list(SCALES) if settings.scale is None else sorted({0.0, settings.scale})


def _nll(
    adapted: Any,
    executor: Executor[Any],
    questions: Sequence[OptionQuestion],
    member: Member,
    scale: float,
    progress: Callable[[int], None] | None,
) -> float:
    """Mean NLL of the averaged option probabilities of a few draws."""
    posterior = Posterior(member.moments, Draw(scale=scale))
    mean = torch.zeros(())
    draws = TUNING_DRAWS if scale else 1
    for number in range(draws):
        lora.put(adapted, posterior.sample(number))
        mean = mean + evaluate(executor, questions).softmax(dim=1) / draws
        if progress:
            progress(1)
    return float(cross_entropy(mean.log(), questions).double().mean())


def _digest(found: SwagMaterial, settings: SwagSettings, seed: int) -> str:
    """Of all that a member depends on."""
    base = stored_by(found.training.fingerprint)
    parts = [asdict(settings), seed, base, found.learn, found.judge]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _refuse_other(folder: Path, work: Path, digest: str) -> None:
    """Neither go on with a training that was begun otherwise, nor keep what it made."""
    begun = work / BEGUN
    known = str(read_object(begun).get("digest")) if begun.is_file() else digest
    if artifact.is_member(folder):
        known = str(artifact.load(folder)[0].about.get("digest"))
    if known != digest:
        raise InvalidInputError(
            f"`{folder}` holds a posterior, or half of one, that was trained on other documents, "
            "with other settings or for another model. Give another --output, or delete it."
        )
    write_json(begun, {"digest": digest})
