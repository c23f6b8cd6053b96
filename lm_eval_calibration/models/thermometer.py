"""`--model thermometer`: a temperature for each task, from its unlabelled prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from lm_eval_calibration.arguments import checked, missing
from lm_eval_calibration.calibrators.thermometer import Thermometer
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.fingerprint import fingerprint, name_of, of_tensors, setting
from lm_eval_calibration.models.shared.held_out import (
    after_loading,
    before_loading,
    before_scoring,
    refuse_cache,
)
from lm_eval_calibration.models.shared.identity import identity
from lm_eval_calibration.models.shared.instances import OptionsDocument, documents
from lm_eval_calibration.models.shared.readings import Readings
from lm_eval_calibration.models.shared.resuming import (
    Computed,
    completed,
    refuse_parts,
    reporting_to,
)
from lm_eval_calibration.models.shared.run_prompts import beliefs_of
from lm_eval_calibration.models.shared.wrapper import Wrapper, known_model
from lm_eval_calibration.models.swag import SwagLM
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.redact import redact

log = logger(f"lm_eval.{__name__}")  # with the harness's level and format

FEW_PROMPTS = 30
"""Fewer prompts give a noisy temperature (docs/evidence.md has the curve)."""
SCOPES = ("task", "instance")


@register_model("thermometer")
class ThermometerLM(Wrapper):
    """THERMOMETER (Shen et al., ICML 2024) at evaluation time.

    The hidden state at each prompt's last token comes from the pass that scores the options. A
    task's temperature is that of all its documents in this evaluation, over all processes; with
    `--limit` of as many as are left, and the log and the results say how many. Every option's
    log-likelihood is divided by it, so `acc`, `acc_norm` and `acc_mutual_info` stay what they are.

    With `--use_cache` what the base said of each document is kept as it comes, and temperatures are
    made of all documents anew.

    Args:
        thermometer: folder of `lm-calib fit thermometer`, or a repository on the hub.
        scope: `task`; or `instance`, a temperature for each document: not the published method.
        allow_seen: evaluate on documents that it was trained on, too.
        allow_other: use it on another model of the same hidden size, or on prompts of another format.
        base: the model inside: `hf-fast`, or `swag`, whose averaged options are then divided and
            whose hidden states are the draws' average; with a reader any that has log-likelihoods.
        reader: another model, for which the thermometer was fitted, e.g. a smaller one of the same
            family: `hf-fast` loads it as the base is loaded, it reads the prompts, and the base's
            log-likelihoods are divided.
        **model_args: the base's.

    Raises:
        InvalidInputError: nothing can be read there, it was made for another hidden size, or whoever
            reads the prompts shows no hidden states.
        OtherModelError: it was trained on another model.
        OtherPromptsError: it was trained on prompts of another format.
    """

    keeps = ("loglikelihood",)
    source = "thermometer"

    @checked
    def __init__(
        self,
        thermometer: str = "",
        scope: str = "task",
        allow_seen: bool = False,
        allow_other: bool = False,
        base: str = "hf-fast",
        reader: str = "",
        **model_args: Any,
    ) -> None:
        if not thermometer:
            raise missing("thermometer", "a folder of `lm-calib fit thermometer`", model_args)
        if scope not in SCOPES:
            raise invalid("scope", " or ".join(SCOPES), f"`{scope}`")
        self._thermometer = Thermometer.from_pretrained(thermometer)
        self._scope = scope
        known_model(base)
        self._held_out = before_loading(
            self._thermometer.training,
            thermometer,
            {"pretrained": reader} if reader else model_args,
            kind="thermometer",
            allow_seen=allow_seen,
            allow_other=allow_other,
        )
        if not int(self._thermometer.about.get("step", 1)):
            log.warning(
                "The thermometer `%s` learned nothing when it was trained: it is T = 1 for every task.",
                thermometer,
            )
        self.temperatures: dict[str, dict[str, Any]] = {}
        super().__init__(base, **model_args)
        self._reader = _loaded(reader, model_args) if reader else self.base
        if not isinstance(self._reader, FastHFLM):
            raise invalid(
                "base",
                "hf-fast or swag, for hidden states are read; or name a `reader`",
                f"`{base}`",
            )
        self._refuse_other_size()
        after_loading(self._held_out, self._reader)
        self._keep_in(None)

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """Log-likelihoods of options, divided by their task's temperature."""
        asked = [d for d in documents(requests) if len(d.options) > 1]
        if asked:
            before_scoring(self._held_out, requests, asked, beliefs_of(self.base))
        answers, inverse = self._scored(requests, asked, options)
        if not asked:
            return answers
        temperature = self._of_documents(asked, inverse)
        for document, value in zip(asked, temperature, strict=True):
            mine = [number for numbers in document.options for number in numbers]
            for number in [*mine, *document.unconditional]:
                answers[number] = (answers[number][0] / float(value), answers[number][1])
        return answers

    def _scored(
        self, requests: list[Any], asked: list[OptionsDocument], options: dict[str, Any]
    ) -> tuple[list[tuple[float, bool]], Floats]:
        """The base's answers, and (D,) the inverse temperature of each document by itself."""
        readings = Readings(self._thermometer, requests, asked, self._states)
        known = self._kept.known([request.args for request in requests])
        together = self._reader is self.base and bool(asked)
        unread = readings.unread
        if together:
            for number in unread:
                known.pop(number, None)
        elif unread:
            log.info("Reading %d prompts with `%s`.", len(unread), name_of(self._reader))
            self._reader.observed([requests[number] for number in unread], readings.of(unread))

        def ask(missing: list[int]) -> list[tuple[float, bool]]:
            rest = [requests[number] for number in missing]
            if together:
                return list(self.base.observed(rest, readings.of(missing), **options))
            return list(self.base.loglikelihood(rest, **options))

        with reporting_to(self.base, self._kept):
            return completed(len(requests), known, ask), readings.inverse

    def _of_documents(self, asked: list[OptionsDocument], inverse: Floats) -> Floats:
        """(D,) the temperature of each document; its task's, unless `scope` is `instance`."""
        mine: dict[str, list[float]] = {}
        for document, value in zip(asked, inverse, strict=True):
            mine.setdefault(document.task, []).append(float(value))
        for task, values in self._everywhere(mine).items():
            self._note(task, np.array(values))
        if self._scope == "instance":
            return 1 / inverse
        return np.array([self.temperatures[document.task]["temperature"] for document in asked])

    def _everywhere(self, mine: dict[str, list[float]]) -> dict[str, list[float]]:
        """Values by task of all processes, in the order of their ranks."""
        if self.world_size == 1:
            return mine
        parts: list[Any] = [None] * self.world_size
        torch.distributed.all_gather_object(parts, mine)
        tasks = sorted({task for part in parts for task in part})
        return {task: [v for part in parts for v in part.get(task, ())] for task in tasks}

    def _note(self, task: str, inverse: Floats) -> None:
        value = self._thermometer.temperature(inverse)
        low, high = np.quantile(1 / inverse, [0.1, 0.9])
        self.temperatures[task] = {
            "temperature": value,
            "prompts": len(inverse),
            "spread": [float(low), float(high)],
        }
        if self.rank != 0:
            return
        log.info(
            "Task `%s`: temperature %.3f from %d prompts (eight tenths of them from %.3f to %.3f).",
            task, value, len(inverse), low, high,
        )  # fmt: skip
        if len(inverse) < FEW_PROMPTS and self._scope == "task":
            log.warning(
                "Task `%s`: its temperature comes from %d prompt(s) only; %d or more are advised.",
                task, len(inverse), FEW_PROMPTS,
            )  # fmt: skip

    def _refuse_other_size(self) -> None:
        size = int(self._reader.model.config.get_text_config().hidden_size)
        if size != self._thermometer.hidden_size:
            raise InvalidInputError(
                f"The thermometer `{self._held_out.path}` was fitted for "
                f"`{self._held_out.training.base_model}`, of hidden size "
                f"{self._thermometer.hidden_size}; `{name_of(self._reader)}` has {size}. Fit one for "
                "it, or name as `reader` the model that it was fitted for, if it is a sibling."
            )

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keep what the base says, under names of our own: it is not what we say.

        Raises:
            CalibrationError: the base is `swag`, or this harness does not hand over all requests.
        """
        refuse_parts(cache_hook)
        if isinstance(self.base, SwagLM):
            refuse_cache(cache_hook, "the hidden states of `base=swag`'s draws are not kept")
        super().set_cache_hook(cache_hook)
        self.base.set_cache_hook(cache_hook)  # (for generation and rolling log-likelihoods)
        self._keep_in(cache_hook.dbdict)

    def _keep_in(self, cache: Any) -> None:
        if cache is None:
            self._kept = self._states = Computed(None)
            return
        self._kept = Computed(cache, "base", *_told(self.base))
        network = of_tensors(self._thermometer.tensors())
        self._states = Computed(cache, "inverse", *_told(self._reader), network)

    def get_model_info(self) -> dict[str, Any]:
        """As `hf`, and the temperatures."""
        read_by = {} if self._reader is self.base else {"reader": redact(name_of(self._reader))}
        return {
            **super().get_model_info(),
            "thermometer": {
                **self._held_out.account(),
                **read_by,
                "scope": self._scope,
                "temperatures": self.temperatures,
            },
        }


AS_THE_BASE = ("device", "dtype", "batch_size", "trust_remote_code", "batch_tokens")
"""Arguments of the base with which its reader is loaded, too."""


def _loaded(reader: str, model_args: Mapping[str, Any]) -> FastHFLM:
    shared = {name: model_args[name] for name in AS_THE_BASE if model_args.get(name) is not None}
    return FastHFLM(pretrained=reader, **shared)


def _told(lm: Any) -> tuple[Any, ...]:
    """Whose answers, or states, a cache holds."""
    if isinstance(lm, FastHFLM):
        return fingerprint(lm.model), setting(lm)
    return (identity(lm),)
