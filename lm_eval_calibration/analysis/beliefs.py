"""Several beliefs in the same answers, as a run logged them: which of them is to be trusted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators.crossfit import FOLDS, cross_fit, folds_of
from lm_eval_calibration.envelope import NO_SCORE, ROUNDING
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.line import doc_hash, pair
from lm_eval_calibration.logs.formats.harness.lines import LeftOut, documents, probe
from lm_eval_calibration.logs.runs import find_runs
from lm_eval_calibration.metrics.beliefs import NO_PROBABILITIES
from lm_eval_calibration.metrics.evaluate import Estimate, evaluate
from lm_eval_calibration.metrics.paired import Difference, compare, holm
from lm_eval_calibration.predictions import Predictions

RANKING = ("auroc", "prr", "aurc")
SEQUENCE = "sequence"
FEWEST_OF_EACH = 10
"""Right answers, and wrong ones, for a test of differences in AUROC: of one or two the bootstrap knows nothing."""


class TaskBeliefs(NamedTuple):
    """The beliefs of one task of one run.

    Attributes:
        run, task: labels.
        beliefs: by name, (N,) each; what an unanswered document lacks is below all.
        right: (N,) whether its answer is right.
        documents: (N,) hashes.
        notes: what a reader must know.
        filter_name: under which answers were read.
    """

    run: str
    task: str
    beliefs: dict[str, NDArray[np.float64]]
    right: NDArray[np.bool_]
    documents: NDArray[np.uint64]
    notes: tuple[str, ...] = ()
    filter_name: str = ""

    @property
    def one_sided(self) -> bool:
        """Whether all answers are right, or all wrong, so that no belief can tell them apart."""
        return self.fewer == 0

    @property
    def fewer(self) -> int:
        """How many answers are right, or wrong, whichever are fewer."""
        return int(min(self.right.sum(), (~self.right).sum()))


@dataclass(frozen=True)
class BeliefFigures:
    """What is said of one belief.

    Attributes:
        name: of it.
        estimates: of `RANKING`, and of `ece` after a map that was fitted on other documents.
        plain: of `ece` as stated; `None` of scores that are no probabilities.
        difference: in AUROC, this less the best's, paired; `None` of the best itself. Without an interval
            where fewer than `FEWEST_OF_EACH` answers are right, or wrong.
        p_holm: of that, adjusted for so many tests.
    """

    name: str
    estimates: Mapping[str, Estimate]
    plain: Estimate | None
    difference: Difference | None
    p_holm: float


def read_beliefs(
    paths: Sequence[str | Path], filter_name: str | None = None, *, skip_bad: bool = False
) -> tuple[list[TaskBeliefs], list[str]]:
    """The beliefs of runs of `--model beliefs`, `likelihood` or `semantic_entropy`.

    Args:
        paths: as for `read_runs`.
        filter_name: of tasks with several filters, whose lines are read; the first one's by default.
        skip_bad: leave out lines that cannot be read.

    Returns:
        The beliefs; and of which tasks none were logged.

    Raises:
        InvalidInputError: none at all, or a damaged line.
    """
    found: list[TaskBeliefs] = []
    without: list[str] = []
    for run in find_runs(paths, formats=[HARNESS]):
        for task, file in run.files.items():
            read = _of_file(run.label, task, file.path, filter_name, skip_bad)
            if read is None:
                without.append(f"`{task}` of {run.label} logged no beliefs by name")
            else:
                found.append(read)
    if not found:
        raise InvalidInputError(
            "No beliefs were logged by name. They come from generation twins, e.g. `lm_eval --tasks "
            "calib_triviaqa --log_samples`, with --model beliefs, likelihood or semantic_entropy."
        )
    filters = {each.filter_name for each in found}
    if filter_name is not None and filter_name not in filters:
        raise invalid(
            "--filter", f"one that was logged, as {', '.join(sorted(filters))}", filter_name
        )
    return found, without


def _of_file(
    run: str, task: str, path: Path, wanted: str | None, skip_bad: bool
) -> TaskBeliefs | None:
    name = probe(path, wanted).filter_name
    left_out = LeftOut()
    rows = [row for _, row in documents(path, name, _row, left_out)]
    left_out.check(path, skip_bad)
    known = [row for row in rows if row is not None]
    names = list(dict.fromkeys(n for told, *_ in known for n in told))
    if not names:
        return None
    answered = [told for told, *_, spoken in known if spoken]
    lacking = {n: NO_SCORE if n in NO_PROBABILITIES else 0.0 for n in names}
    beliefs = {
        n: np.array(
            [told.get(n, lacking[n]) if spoken else lacking[n] for told, *_, spoken in known],
            dtype=np.float64,
        )
        for n in names
    }
    without = {n: sum(n not in told for told in answered) for n in names}
    notes = (
        *left_out.notes(name),
        *(f"{count:,} answers have no `{n}`: they count as least sure" for n, count in without.items() if count),
    )  # fmt: skip
    right, hashes = (np.array([row[k] for row in known]) for k in (1, 2))
    return TaskBeliefs(
        run, task, _merged(beliefs), right.astype(bool), hashes.astype(np.uint64), notes, str(name)
    )


def _merged(beliefs: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Beliefs that are one, as a share by the task's filter is under two names, stand once."""
    found: dict[str, NDArray[np.float64]] = {}
    for name, values in beliefs.items():
        same = next((n for n, known in found.items() if np.array_equal(known, values)), None)
        if same is None or len(values) < 2:
            found[name] = values
        else:
            found[f"{same}, {name}"] = found.pop(same)
    return found


def _row(sample: Mapping[str, Any]) -> tuple[dict[str, float], bool, int, bool] | None:
    """Beliefs of a line, whether its answer is right, its document, and whether it is an answer."""
    envelope = sample.get("envelopes")
    told = envelope.get("told") if isinstance(envelope, Mapping) else None
    if not isinstance(envelope, Mapping) or not isinstance(told, Mapping):
        return None
    judged = pair(sample, score=True)
    if judged is None:
        raise BadLineError(
            "no verdict: the task's metric scores answers between 0 and 1, or was left out"
        )
    beliefs = {str(name): _belief(str(name), value) for name, value in told.items()}
    return beliefs, judged[1], doc_hash(sample), bool(envelope.get("answered", True))


def _belief(name: str, value: Any) -> float:
    number = float(value) if isinstance(value, (int, float)) else np.nan
    most = np.inf if name in NO_PROBABILITIES else 1 + ROUNDING
    if not np.isfinite(number) or not (name in NO_PROBABILITIES or 0 <= number <= most):
        raise BadLineError(f"`told` holds `{name}` = {value!r}, which is no such belief")
    return float(number)


def figures(found: TaskBeliefs, method: str, replicates: int) -> list[BeliefFigures]:
    """Everything that is said of a task's beliefs, the best first.

    Args:
        found: of a task.
        method: of the map that makes probabilities: `isotonic` or `platt`.
        replicates: of the bootstrap.

    Returns:
        Nothing where all answers are right, or all wrong, or there are too few for folds.
    """
    if found.one_sided or len(found.right) < FOLDS:
        return []
    made = {name: _predictions(found, name) for name in found.beliefs}
    ranked = {name: evaluate(p, list(RANKING), replicates=replicates) for name, p in made.items()}
    order = sorted(made, key=lambda name: -ranked[name]["auroc"].value)
    best = order[0]
    apart = {
        name: compare(made[best], made[name], ["auroc"], replicates=replicates)["auroc"]
        for name in order[1:]
    }
    if found.fewer < FEWEST_OF_EACH:
        nan = float("nan")
        apart = {n: replace(d, low=nan, high=nan, p_value=nan) for n, d in apart.items()}
    adjusted = dict(zip(apart, holm([d.p_value for d in apart.values()]), strict=True))
    fold = folds_of(found.documents, len(found.right))
    result = []
    for name in order:
        mapped = cross_fit(method, {"": _to_map(found, name, made[name])}, {"": fold})[""]
        ece = evaluate(mapped, ["ece"], replicates=replicates)["ece"]
        plain = None
        if not made[name].are_scores:
            plain = evaluate(made[name], ["ece"], replicates=replicates)["ece"]
        estimates = {**ranked[name], "ece": ece}
        p = float(adjusted.get(name, np.nan))
        result.append(BeliefFigures(name, estimates, plain, apart.get(name), p))
    return result


def _predictions(found: TaskBeliefs, name: str) -> Predictions:
    values = found.beliefs[name]
    if name.split(", ")[0] in NO_PROBABILITIES:
        return Predictions.from_scores(values, found.right)
    return Predictions.from_confidences(np.minimum(values, 1.0), found.right)


def _to_map(found: TaskBeliefs, name: str, stated: Predictions) -> Predictions:
    """What a map is fitted on: of a whole answer's probability, which may be tiny, its logarithm."""
    if SEQUENCE not in name.split(", "):
        return stated
    logs = np.log(np.maximum(found.beliefs[name], np.finfo(np.float64).tiny))
    return Predictions.from_scores(logs, found.right)
