"""Filters of the harness for replies that state probabilities: read them, and map what they state.

    filter_list:
      - name: raw
        filter:
          - {function: verbalized, labels: [negative, positive]}
      - name: inverse_softmax
        filter:
          - {function: verbalized, labels: [negative, positive]}
          - {function: inverse_softmax, target: label}

One run then reports a row for each. A filter sees all of a task's documents, so that what maps them
can be fitted on some of them and applied to others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.crossfit import cross_fit
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.api import Filter
from lm_eval_calibration.messages import logger
from lm_eval_calibration.predictions import Ints, Predictions
from lm_eval_calibration.stated import FLOOR, Statement
from lm_eval_calibration.verbal.labels import Labels
from lm_eval_calibration.verbal.replies import statement
from lm_eval_calibration.verbal.styles import STYLES, style

log = logger(__name__)

FOLDS = 5


class VerbalizedFilter(Filter):
    """Replies as distributions over labels; several replies to a document are averaged.

    Args:
        labels: the labels, or where a document has them, e.g. `choices.label`.
        texts: where it has what they stand for, if they are letters.
        reading: how it was asked, see `verbal.styles`.

    Raises:
        InvalidInputError: an unknown way of asking, or no labels.
    """

    @checked
    def __init__(
        self, labels: Sequence[str] | str = (), texts: str = "", reading: str = "distribution"
    ) -> None:
        if reading not in STYLES:
            raise invalid("reading", ", ".join(STYLES), f"`{reading}`")
        if not labels:
            raise _labels_wanted("nothing")
        _check_labels(labels)
        self._labels, self._texts = labels, texts
        self._read = style(reading, 1).read

    def apply(
        self, resps: Sequence[Sequence[str]], docs: Sequence[dict[str, Any]]
    ) -> list[Statement]:
        """A statement for each document."""
        found = []
        for replies, doc in zip(resps, docs, strict=True):
            texts = field(doc, self._texts) if self._texts else ()
            labels = Labels(labels_of(self._labels, doc), [str(text) for text in texts])
            read = [self._read(text, labels) for text in replies]
            found.append(statement(list(replies), read, len(labels)))
        return found


class RecalibrationFilter(Filter):
    """Statements with mapped probabilities.

    Args:
        target: where a document has its right label: a number, or the label itself. Needed unless
            the parameters are given: then each fold is mapped by what the others were fitted to.
            With fewer documents than folds nothing is mapped, with a warning.
        labels: as for `verbalized`, where the target is a label itself.
        calibrator: folder of `lm-calib fit`.
        temperature, floor: parameters.
        folds: of the cross-fit.

    Raises:
        InvalidInputError: neither a target nor parameters, or parameters that cannot be.
    """

    method = "inverse_softmax"

    @checked
    def __init__(
        self,
        target: str = "",
        labels: Sequence[str] | str = (),
        calibrator: str = "",
        temperature: float | None = None,
        floor: float = 1e-3,
        folds: int = FOLDS,
    ) -> None:
        _check_labels(labels)
        if folds < 2:
            raise invalid("folds", "at least 2", folds)
        if temperature is not None and not temperature > 0:
            raise invalid("temperature", "above 0", temperature)
        if not 0 < floor < 0.5:
            raise invalid("floor", "above 0 and below 0.5", floor)
        self._target, self._labels, self._folds = target, labels, folds
        self._fitted: Calibrator | None = None
        if calibrator:
            self._fitted = Calibrator.from_pretrained(calibrator)
        elif temperature is not None:
            parameters = {"temperature": np.array(float(temperature)), "floor": np.array(floor)}
            self._fitted = Calibrator(self.method, {"": parameters})
        elif not target:
            raise invalid("target", "the field of the right label, or a temperature", "nothing")

    def apply(self, resps: Sequence[Statement], docs: Sequence[dict[str, Any]]) -> list[Statement]:
        """The same statements, invalid ones aside, with mapped probabilities."""
        rows = [i for i, found in enumerate(resps) if found.status != "invalid"]
        if not rows:
            return list(resps)
        beliefs = as_predictions([resps[i] for i in rows], [self._gold(docs[i]) for i in rows])
        if self._too_few(len(rows)):
            return list(resps)
        mapped = self._mapped(beliefs).probabilities
        assert mapped is not None
        found = list(resps)
        for i, p in zip(rows, mapped, strict=True):
            count = len(resps[i].probabilities)
            found[i] = replace(resps[i], probabilities=tuple(p[:count].tolist()))
        return found

    def _too_few(self, documents: int) -> bool:
        if self._fitted is not None or documents >= self._folds:
            return False
        log.warning(
            "The filter `%s` needs at least %d documents to be fitted crosswise, got %d: they stay as "
            "stated. Give it a `temperature` or a `calibrator`.",
            self.method, self._folds, documents,
        )  # fmt: skip
        return True

    def _mapped(self, beliefs: Predictions) -> Predictions:
        if self._fitted is not None:
            return self._fitted.transform(beliefs)
        fold: Ints = np.arange(len(beliefs)) % self._folds
        return cross_fit(self.method, {"": beliefs}, {"": fold})[""]

    def _gold(self, doc: Mapping[str, Any]) -> list[int]:
        if not self._target:
            return []
        target = field(doc, self._target)
        if isinstance(target, (int, np.integer)):
            return [int(target)]
        names = labels_of(self._labels, doc)
        if str(target) not in names:
            raise InvalidInputError(f"The target `{target}` is none of the labels {names}.")
        return [names.index(str(target))]


class ResoftmaxFilter(RecalibrationFilter):
    """The same by a temperature that takes probabilities for logits."""

    method = "resoftmax"


def _labels_wanted(got: object) -> InvalidInputError:
    return invalid("labels", "a list of labels, or the name of a document's field", got)


def _check_labels(labels: object) -> None:
    known = isinstance(labels, str) or (
        isinstance(labels, (list, tuple)) and all(isinstance(v, (str, int, float)) for v in labels)
    )
    if not known:
        raise _labels_wanted(repr(labels))


def field(doc: Mapping[str, Any], path: str) -> Any:
    """A document's field, `choices.label` for one inside another.

    Raises:
        InvalidInputError: the document has none of that name.
    """
    found: Any = doc
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            raise InvalidInputError(f"A document has no field `{path}`; it has {', '.join(doc)}.")
        found = found[name]
    return found


def labels_of(labels: Sequence[str] | str, doc: Mapping[str, Any]) -> list[str]:
    """A document's labels: as listed, or from its field."""
    return [str(v) for v in (field(doc, labels) if isinstance(labels, str) else labels)]


def as_predictions(found: Sequence[Statement], gold: Sequence[Sequence[int]]) -> Predictions:
    """Statements as predictions, printed zeros floored."""
    logits = [np.log(np.maximum(s.probabilities, FLOOR)).tolist() for s in found]
    return Predictions.from_options(logits, gold)
