"""`HelmLogs`: the format of what `helm-run` leaves under `runs/SUITE/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import Left, LogFile
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
)
from lm_eval_calibration.logs.formats.helm.files import (
    STATE,
    Instance,
    Recorded,
    instance_at,
    instances_of,
    is_run,
    log_file,
    method_of,
    recorded,
)
from lm_eval_calibration.logs.formats.helm.instance import scored, stated
from lm_eval_calibration.logs.formats.helm.scores import CALIBRATED, ORIGINAL, references_of
from lm_eval_calibration.logs.gathered import Gathered, LoggedStatement, TaskFiles
from lm_eval_calibration.logs.run import Samples

JOINT = "multiple_choice_joint"
TEST = "test"
_MEANING = {
    ORIGINAL: "beliefs are HELM's own scores of the options, the mean log-probability of their tokens",
    CALIBRATED: "beliefs are HELM's own scores of the options, their log-probability less that "
    "without the question",
    JOINT: "the file has no log-probabilities of the options: confidence is `max_prob`, the "
    "probability of the answer that was generated, as in HELM's own ece_10_bin",
}


class HelmLogs(TaskFiles):
    """A `Format`; one folder for each task and model, all of a suite in one folder."""

    name = "helm"
    meaning = "run folders of HELM (scenario_state.json), of multiple choice with log-probabilities"

    def finds(self, path: Path) -> Sequence[Left]:
        """The runs of each model in each suite."""
        paths = sorted(path.rglob(STATE)) if path.is_dir() else [path]
        found: dict[tuple[Path, str], dict[str, LogFile]] = {}
        for each in filter(is_run, paths):
            model, file = log_file(each)
            suite = each.resolve().parent.parent
            found.setdefault((suite, model), {})[file.task] = file
        return [
            Left(self.name, folder, files, model=model) for (folder, model), files in found.items()
        ]

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's run folder.

        Raises:
            OtherTypeError: it holds no confidence.
            InvalidInputError: it cannot be read.
        """
        method = method_of(file.path)
        if method not in _MEANING:
            raise OtherTypeError(
                f"{file.path}: the file has no log-probabilities of the options (its adapter is "
                f"`{method}`)."
            )
        reading = _Reading(file.path, method, recorded(file.path))
        reading.all()
        reading.gathered.check(skip_bad)
        return reading.gathered.samples(label, file.task, self.name, frozenset(), reading.notes())

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the requests that were read."""
        return [
            _document(samples, row, instance_at(samples.path, int(samples.offset[row])))
            for row in rows
        ]


@dataclass
class _Reading:
    """A run that is being read, of one split: `test` where there is one, as HELM's own tables have it."""

    path: Path
    method: str
    recorded: Recorded
    splits: dict[str, Gathered] = field(default_factory=dict)
    perturbed: int = 0
    tied: int = 0
    trials: set[int] = field(default_factory=set)

    def all(self) -> None:
        """Read every instance."""
        for instance in instances_of(self.path):
            if isinstance(instance, BadLineError):
                self._split("").bad.append(("at its end", str(instance)))
                continue
            try:
                self._one(instance)
            except BadLineError as error:
                self._split("").bad.append((instance.place, str(error)))
        if self.method == JOINT and self.gathered.kept:
            confidences = [
                each.confidence for each in self.gathered.kept if isinstance(each, LoggedStatement)
            ]
            if min(confidences) == 1:
                raise OtherTypeError(
                    f"{self.path}: the file has no log-probabilities of the options, and `max_prob` is "
                    "1.0 in every instance, which is what HELM writes for a model that gives none: "
                    "no confidence."
                )

    @malformed_is_bad
    def _one(self, instance: Instance) -> None:
        first = instance.states[0]
        about = first["instance"]
        if about.get("perturbation"):
            self.perturbed += 1
            return
        trial = int(first["train_trial_index"])
        figures = self.recorded.figures.get((str(about.get("id")), trial))
        if figures is None and self.recorded.known:
            raise BadLineError("it is not in per_instance_stats.json")
        gathered = self._split(str(about.get("split") or ""))
        if self.method == JOINT:
            gathered.kept.append(stated(first, instance.start, figures))
        else:
            found = scored(instance.states, instance.start, self.method, figures)
            gathered.kept.append(found.belief)
            self.tied += found.tied
        self.trials.add(trial)

    def _split(self, name: str) -> Gathered:
        return self.splits.setdefault(name, Gathered(self.path))

    @property
    def chosen(self) -> str:
        """The split that is read."""
        named = [name for name, each in self.splits.items() if each.kept]
        return TEST if TEST in named or not named else named[0]

    @property
    def gathered(self) -> Gathered:
        """What was read of it; what is bad counts whatever its split."""
        found = self.splits.get(self.chosen, Gathered(self.path))
        return Gathered(
            self.path, found.kept, [bad for each in self.splits.values() for bad in each.bad]
        )

    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        notes = [_MEANING[self.method]]
        for name, each in self.splits.items():
            if name != self.chosen and each.kept:
                notes.append(
                    f"read is the split {self.chosen}, not the {len(each.kept):,} of {name}"
                )
        if self.perturbed:
            notes.append(f"{self.perturbed:,} perturbed instances are not read")
        if len(self.trials) > 1:
            notes.append(
                f"{len(self.trials)} trials: each answer counts as a document of its own, so "
                "intervals are too narrow"
            )
        if self.tied:
            notes.append(
                f"{self.tied:,} instances have several best options: HELM's exact_match is the share "
                "of right ones among them, acc is the first one's"
            )
        if not self.recorded.known:
            notes.append("no per_instance_stats.json lies beside it to hold them against")
        return tuple(notes)


@malformed_is_bad
def _document(samples: Samples, row: int, state: Mapping[str, Any]) -> LoggedDocument:
    p = samples.predictions
    texts, gold = references_of(state)
    doc_id, prompt = str(state["instance"].get("id")), str(state["instance"]["input"]["text"])
    if p.predicted is None or p.options is None:
        raise InvalidInputError(f"{samples.path} holds no options with beliefs.")
    return LoggedDocument(
        doc_id=doc_id,
        prompt=prompt,
        options=tuple(texts),
        probabilities=tuple(np.exp(p.options.take(np.array([row])).values).tolist()),
        gold=tuple(gold),
        predicted=int(p.predicted[row]),
        confidence=float(p.confidence[row]),
    )
