"""Work that the processes of `accelerate launch` share, each with the whole model or its own part."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import Any, TypeVar

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.api import gather_object
from lm_eval_calibration.peers import watched

Progress = Callable[[int], None]
Job = TypeVar("Job")
Result = TypeVar("Result", bound=Sized)


def shared(
    lm: Any, jobs: Sequence[Job], do: Callable[[Job], Result], progress: Progress | None = None
) -> list[Result]:
    """The results of all jobs, in their order, in the first process; the others leave.

    Args:
        lm: model of the harness, which knows how many processes there are.
        jobs: every process has the same; each does every `world_size`-th.
        do: a job; what comes out must not depend on which process does it.
        progress: called with the length of each result, once for all processes, which are about as far.

    Raises:
        SystemExit: in all processes but the first, whose work is done.
    """
    rank, world = int(lm.rank), int(lm.world_size)
    mine = []
    with watched():
        for job in jobs[rank::world]:
            mine.append(do(job))
            if progress is not None:
                progress(len(mine[-1]) * world)
        gathered = gather_object(lm, mine)
    if gathered is None:
        raise SystemExit(0)
    return [gathered[i % world][i // world] for i in range(len(jobs))]


def refuse_to_share(lm: Any, what: str) -> None:
    """For work of one process.

    Raises:
        InvalidInputError: there are several.
    """
    if lm.world_size > 1:
        raise InvalidInputError(
            f"`{what}` runs in one process, got {lm.world_size}. Leave `accelerate launch` out; "
            "parallelize=True in --model_args spreads a large model over devices."
        )
