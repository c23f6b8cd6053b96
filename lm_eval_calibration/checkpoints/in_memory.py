"""The harness's evaluation of a model that is in training."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lm_eval_calibration.checkpoints.settings import EvaluationSettings
from lm_eval_calibration.harness.running import evaluate_into
from lm_eval_calibration.logs import read_runs, scopes
from lm_eval_calibration.metrics.evaluate import evaluate


def evaluated(
    model: Any,
    tokenizer: Any,
    settings: EvaluationSettings,
    batch_size: int,
    folder: Path,
    task_manager: Any = None,
) -> None:
    """Evaluate a model as it is, and leave results and samples in a folder.

    Modes of its layers, settings of its cache and the state of random numbers are what they were
    afterwards, so that the training goes on as without.
    """
    from lm_eval_calibration.models.hf_fast import FastHFLM

    with _at_rest(model):
        lm = FastHFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        evaluate_into(
            folder, lm, list(settings.tasks), limit=settings.limit, num_fewshot=settings.num_fewshot,
            apply_chat_template=settings.apply_chat_template, task_manager=task_manager,
            fewshot_as_multiturn=settings.apply_chat_template,
        )  # fmt: skip


def intervals(folder: Path, metrics: Sequence[str]) -> dict[str, float]:
    """Figures of the run in a folder, with the ends of their 95 % intervals, by task."""
    (run,) = read_runs([str(folder)], one_each=True)[0]
    found = {}
    for scope in scopes(run):
        name = scope.name or "all"
        for metric, estimate in evaluate(scope.predictions, list(metrics)).items():
            found[f"{name}/{metric}"] = estimate.value
            found[f"{name}/{metric}_low"], found[f"{name}/{metric}_high"] = (
                estimate.low,
                estimate.high,
            )
    return found


@contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """Without dropout, gradients and the trainer's autocast; all is as it was afterwards."""
    mixed, plain = (model.__dict__.get(name) for name in ("forward", "_original_forward"))
    training = {name: module.training for name, module in model.named_modules()}
    cached = getattr(model.config, "use_cache", None)
    devices = [model.device] if model.device.type == "cuda" else []
    drawn = random.getstate(), np.random.get_state()  # (the harness seeds them)
    with torch.random.fork_rng(devices), torch.no_grad():
        model.eval()
        if plain is not None:
            model.forward = plain
        if cached is not None:
            model.config.use_cache = True
        try:
            yield
        finally:
            if plain is not None:
                model.forward = mixed
            if cached is not None:
                model.config.use_cache = cached
            for name, module in model.named_modules():
                module.training = training[name]
            random.setstate(drawn[0])
            np.random.set_state(drawn[1])
