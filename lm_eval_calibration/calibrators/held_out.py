"""`HeldOut`: what an artifact was fitted on, against what it is used on."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.prompt_format import PromptFormat, nearest
from lm_eval_calibration.redact import redact


class SeenDocumentsError(CalibrationError):
    """A calibrator is evaluated on documents that it was fitted on."""


class OtherModelError(CalibrationError):
    """A calibrator is used on another model than it was fitted on."""


class OtherPromptsError(CalibrationError):
    """A calibrator is used on prompts of another format than it was fitted on."""


class Spelling(NamedTuple):
    """How a user lifts the refusals: of documents that were seen ("" if not at all), of the rest."""

    seen: str = "allow_seen=true"
    other: str = "allow_other=true"


IN_ARGUMENTS, AS_OPTIONS = Spelling(), Spelling("", "--allow-other")


class HeldOut:
    """Stops what would flatter an artifact, or use it where it means nothing; or marks the results.

    Args:
        training: of the artifact.
        path: where it was read.
        say: warns a user.
        kind: of the artifact, for readers.
        allow_seen: evaluate on documents that were fitted on, too.
        allow_other: use it on another model, or on other prompts.
        label_free: whether it was fitted without labels: documents that it saw are then marked alone.
        spelled: how a user says so.

    Attributes:
        seen: how many of each task's documents were fitted on, where there are any.
        other: what is not as it was fitted, in words.
    """

    def __init__(
        self,
        training: Training,
        path: str,
        say: Callable[[str], None],
        *,
        kind: str = "calibrator",
        allow_seen: bool = False,
        allow_other: bool = False,
        label_free: bool = False,
        spelled: Spelling = IN_ARGUMENTS,
    ) -> None:
        self.training, self.path, self.kind = training, path, kind
        self.allow_seen, self.allow_other = allow_seen, allow_other
        self.label_free = label_free
        self.seen: dict[str, int] = {}
        self.other: list[str] = []
        self._say, self._spelled = say, spelled
        self._said: set[str] = set()

    def check_model(self, name: str, fingerprint: str) -> None:
        """Stop the use on another model: of other weights or, where these are not known, another name.

        Of an artifact that keeps no prompts, as earlier versions made it, the name is only marked: it
        may be that of a folder.

        Args:
            name: of the model at hand, or "".
            fingerprint: of its weights, or "".

        Raises:
            OtherModelError: it is another one, and that is not allowed.
        """
        found = self.training
        here = f"`{name}`" if name else "the model here"
        fitted_for = f"`{found.base_model}`" if found.base_model else "another model"
        if found.fingerprint and fingerprint:
            if not same_weights(found.fingerprint, fingerprint):
                self._refuse_model(fitted_for, f"the weights of {here} are others")
        elif not found.base_model:
            self._unknown("the model it was fitted on")
        elif not name:
            self._unknown("the model it is used on")
        elif not _same_name(found.base_model, name):
            self._refuse_model(fitted_for, f"this is {here}", bool(found.prompts))
        elif found.base_model != name:
            self._once(
                f"The {self.kind} `{self.path}` was fitted for {fitted_for}, and this is {here}: of "
                "these only the last part of the name is compared."
            )

    def check_prompts(self, prompts: Mapping[str, PromptFormat]) -> None:
        """Stop the use on prompts of another format than the task's, or than any that it was fitted on.

        Args:
            prompts: by task; "" for what is known of all of a run's.

        Raises:
            OtherPromptsError: they are, and that is not allowed.
        """
        fitted = self.training.prompts
        if prompts and not fitted:
            self._unknown("the prompts it was fitted on")
            return
        for task, used in prompts.items():
            if not used.known:
                self._unknown("the prompts it is used on")
            own = [fitted[task]] if task in fitted else fitted.values()
            _, differences = nearest(own, used)
            if differences:
                was, comes = (_listed(words) for words in zip(*differences, strict=True))
                where = f"`{task}` is asked" if task else "this run asks"
                self._refuse_prompts(f"was fitted {was}; {where} {comes}")

    def check_documents(self, documents: Mapping[str, NDArray[np.uint64]]) -> None:
        """Stop an evaluation on documents that were fitted on.

        Args:
            documents: by task, the first 64 bits of the harness's hash of each (N,); (0,) where
                they are not known.

        Raises:
            SeenDocumentsError: there are some, and they are not allowed.
        """
        if self.training.tasks and not any(self.training.tasks.values()):
            return  # (it was fitted on no document)
        if not self.training.documents.size:
            self._unknown_documents("the artifact keeps no hashes of those")
        elif not all(hashes.size for hashes in documents.values()):
            self._unknown_documents("the logs have no hashes of documents")
        count = {task: int(self.training.seen(d).sum()) for task, d in documents.items()}
        seen = {task: n for task, n in count.items() if n}
        if not seen:
            return
        tasks = ", ".join(
            f"{n:,} of {len(documents[task]):,}" + (f" of `{task}`" if task else "")
            for task, n in seen.items()
        )
        if not self.allow_seen and not self.label_free:
            lift = f", or pass {self._spelled.seen}, which marks the results"
            raise SeenDocumentsError(
                f"The {self.kind} `{self.path}` was fitted on documents of this evaluation ({tasks}): "
                "figures on them would flatter it. Evaluate on other documents, or fit it on others "
                f"(`lm-calib fit` has --split){lift if self._spelled.seen else ''}."
            )
        if self.label_free:
            self._once(f"Fitted on documents of this evaluation ({tasks}), without their labels.")
        else:
            self._once(f"Fitted on documents of this evaluation ({tasks}): the figures flatter it.")
        self.seen |= seen

    def account(self) -> dict[str, Any]:
        """What results say of the artifact."""
        return {
            "path": redact(str(self.path)),
            "fitted_on": self.training.tasks,
            "fitted_for": redact(self.training.base_model),
            "seen_documents": self.seen,
            "other": redact(self.other),
        }

    def _refuse_model(self, fitted_for: str, here: str, sure: bool = True) -> None:
        what = f"was fitted for {fitted_for}, and {here}"
        if sure and not self.allow_other:
            raise OtherModelError(self._refusal(what, "Fit one for it"))
        self._mark(what)

    def _refuse_prompts(self, what: str) -> None:
        if not self.allow_other:
            raise OtherPromptsError(self._refusal(what, "Fit one on such prompts"))
        self._mark(what)

    def _refusal(self, what: str, remedy: str) -> str:
        return (
            f"The {self.kind} `{self.path}` {what}. {remedy}, or pass {self._spelled.other}, which "
            "marks the results."
        )

    def _mark(self, what: str) -> None:
        if what not in self.other:
            self.other.append(what)
            self._once(f"The {self.kind} `{self.path}` {what}.")

    def _unknown(self, what: str) -> None:
        self._once(
            f"The {self.kind} `{self.path}`: nothing is known of {what}, so that is not compared."
        )

    def _unknown_documents(self, why: str) -> None:
        self._once(
            f"The {self.kind} `{self.path}`: it is not known whether documents of this evaluation are "
            f"among those that it was fitted on ({why})."
        )

    def _once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def same_weights(one: str, other: str) -> bool:
    """Whether two fingerprints are of the same weights, in whatever precision.

    >>> same_weights("a:b", "c:b"), same_weights("a", "a:b"), same_weights("a:b", "c:d")
    (True, True, False)
    """
    return not set(one.split(":")).isdisjoint(other.split(":"))


def _same_name(fitted: str, name: str) -> bool:
    """Whether a model's name is (one of) those that were fitted on, wherever it is stored."""
    fitted_on = set().union(*map(_last_parts, fitted.split(", ")))
    here = _last_parts(name)
    if os.path.isdir(name):  # (a link may lead elsewhere by now, but what is here is here)
        here |= _last_parts(os.path.realpath(name))
    return not here.isdisjoint(fitted_on)


def _last_parts(name: str) -> set[str]:
    """The last part of a model's name; in the hub's cache, the repository's too.

    >>> sorted(_last_parts("hub/models--org--x/snapshots/0a1b"))
    ['0a1b', 'x']
    """
    return {Path(name).name, *re.findall(r"models--.+?--([^/]+)/snapshots/", name)}


def _listed(words: tuple[str, ...]) -> str:
    """Words as a list.

    >>> _listed(("zero-shot", "on plain prompts"))
    'zero-shot and on plain prompts'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
