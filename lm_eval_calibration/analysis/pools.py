"""The pools of candidates that generation twins logged, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration.envelope import CUT
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad
from lm_eval_calibration.logs.formats.harness.lines import (
    LeftOut,
    LinePlace,
    again,
    documents,
    probe,
)
from lm_eval_calibration.logs.formats.harness.results import groups_of
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.logs.runs import find_runs
from lm_eval_calibration.metrics.pool_summary import Pool, PoolSummary, summarise

MEANINGS = {
    "gen": "a random candidate",
    "disc": "the picks; one that names no candidate scores the worst",
    "disc_lenient": "the picks; one that names no candidate scores gen",
    "dg_diff": "disc - gen",
    "majority": "the most frequent answer",
    "oracle": "the best candidate",
    "worst": "the worst candidate",
    "invalid_rate": "picks that name no candidate, though they were not cut",
    "unanswered_rate": "candidates that are no answer",
    "best_of_n": "the candidate of the highest belief or score",
    "best_of_n_gain": "best_of_n - gen",
    "norm_gain": "dg_diff of what a perfect pick would gain, over mixed pools",
}


NO_ANSWER = ("", "[invalid]")
"""What older logs hold of a candidate that is none: the harness's own words for it."""


class TaskPools(NamedTuple):
    """The pools of one task or group of one run, in the order of its documents."""

    run: str
    name: str
    pools: list[Pool]
    filter_name: str
    notes: tuple[str, ...] = ()


class PoolFigures(NamedTuple):
    """What is said of the pools of a task or group."""

    run: str
    name: str
    filter_name: str
    summary: PoolSummary


def read_pools(
    paths: Sequence[str | Path], filter_name: str | None = None, *, skip_bad: bool = False
) -> tuple[list[TaskPools], list[str]]:
    """The pools of runs, each group before its tasks; files without pools are left out.

    Args:
        paths: as for `read_runs`.
        filter_name: of tasks with several filters, whose lines are read; the first one's by default.
        skip_bad: leave out lines that cannot be read; `TaskPools.notes` counts them.

    Returns:
        The pools; and of which tasks none were logged.

    Raises:
        InvalidInputError: no pools at all, a damaged line, or a filter that no file has.
    """
    found: list[TaskPools] = []
    without: list[str] = []
    for run in find_runs(paths, formats=[HARNESS]):
        read = {
            task: _of_file(run.label, task, f.path, filter_name, skip_bad)
            for task, f in run.files.items()
        }
        known = {task: pools for task, pools in read.items() if pools is not None}
        without += [
            f"`{task}` of {run.label} logged no pools" for task in read if task not in known
        ]
        for group, tasks in groups_of(run.results, known).items():
            found += _together(run.label, group, [known[task] for task in tasks])
        found += known.values()
    if not found:
        raise InvalidInputError(
            "No pools of candidates were logged. They come from generation twins, e.g. `lm_eval --tasks "
            "calib_gsm8k --log_samples`, with --model self_correct, self_consistency, semantic_entropy, beliefs or fractal."
        )
    filters = {pools.filter_name for pools in found}
    if filter_name is not None and filter_name not in filters:
        raise invalid(
            "--filter", f"one that was logged, as {', '.join(sorted(filters))}", filter_name
        )
    return found, without


def pools_of(samples: Samples) -> list[Pool] | None:
    """The pools of the documents that were read; `None` where there are none."""
    if not len(samples.offset):
        return None
    pools = [_pool(sample.get("envelopes")) for sample in again(samples.path, samples.offset)]
    known = [pool for pool in pools if pool is not None]
    return known if known and len(known) == len(pools) else None


def alike(pools: Sequence[Pool]) -> bool:
    """Whether there are pools that can be pooled: all with picks, or with beliefs, or all without."""
    return len({(bool(pool.picks), bool(pool.beliefs)) for pool in pools}) == 1


def figures(pools: TaskPools, replicates: int) -> PoolFigures:
    """Everything that is said of a task's pools."""
    summary = summarise(pools.pools, replicates)
    return PoolFigures(pools.run, pools.name, pools.filter_name, summary)


def _of_file(
    run: str, task: str, path: Path, wanted: str | None, skip_bad: bool
) -> TaskPools | None:
    name = probe(path, wanted).filter_name
    left_out = LeftOut()
    read = documents(path, name, lambda sample: _pool(sample.get("envelopes")), left_out)
    found: list[tuple[LinePlace, Pool | None]] = list(read)
    pools = [pool for _, pool in found if pool is not None]
    if 2 * len(pools) < len(found) or not pools:
        left_out.check(path, skip_bad)
        return None
    left_out.bad += [
        (place.number, "no pool of candidates") for place, pool in found if pool is None
    ]
    left_out.bad.sort()
    left_out.check(path, skip_bad)
    return TaskPools(run, task, pools, str(name), left_out.notes(name))


def _together(run: str, group: str, tasks: Sequence[TaskPools]) -> list[TaskPools]:
    """A group's pools, unless some of its tasks have picks, or beliefs, and others none."""
    pools = [pool for task in tasks for pool in task.pools]
    if not alike(pools):
        return []
    names = dict.fromkeys(task.filter_name for task in tasks)
    return [TaskPools(run, group, pools, ", ".join(names))]


@malformed_is_bad
def _pool(logged: Any) -> Pool | None:
    """What a line says of its candidates; `None` where there are not at least two."""
    if not isinstance(logged, Mapping):
        return None
    try:
        scores = tuple(float(score) for score in logged["scores"])
        picks = tuple(None if pick is None else int(pick) for pick in logged["picks"])
        answers = _answers(logged)
        beliefs = tuple(float(belief) for belief in logged.get("beliefs") or ())
    except (KeyError, TypeError, ValueError) as error:
        raise BadLineError(f"a damaged `envelopes` entry ({error!r})") from error
    if (
        len(answers) != len(scores)
        or len(beliefs) not in (0, len(scores))
        or any(p is not None and not 0 <= p < len(scores) for p in picks)
    ):
        raise BadLineError("a damaged `envelopes` entry: scores, answers and picks do not match")
    places = _places(picks, logged.get("orders") or ())
    flags = logged.get("flags")
    cut = min(list(flags).count(CUT) if isinstance(flags, list) else 0, picks.count(None))
    return Pool(scores, answers, picks, places, cut, beliefs) if len(scores) > 1 else None


def _answers(logged: Mapping[str, Any]) -> tuple[object, ...]:
    """What stands for each candidate's answer; logs of older releases have the filtered texts alone."""
    if isinstance(logged.get("answers"), list):
        return tuple(None if answer is None else int(answer) for answer in logged["answers"])
    texts = (str(text) for text in logged["filtered"])
    return tuple(None if text.strip() in NO_ANSWER else text for text in texts)


def _places(picks: Sequence[int | None], orders: Any) -> tuple[int, ...]:
    """Where each picked candidate stood, if there is an order for each pick."""
    try:
        pairs = zip(picks, orders, strict=True)
        return tuple(order.index(pick) for pick, order in pairs if pick is not None)
    except (ValueError, AttributeError, TypeError):
        return ()
