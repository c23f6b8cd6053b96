"""The processes of `accelerate launch` on several machines, which notice when one of them is gone.

On one machine the launcher ends all when one ends. Between machines nobody does: the others compute
on, for hours, until they wait for what will never come.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NoReturn

from lm_eval_calibration.messages import logger

log = logger(f"lm_eval.{__name__}")

PULSE = 3.0
"""Seconds between two signs of life."""
SILENCE = 30.0
"""Seconds without one, after which a process counts as gone."""
DONE, FAILED = "done", "failed"
_COUNT = itertools.count()


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """While work is shared between machines: end, with a line, when a process of another one has gone.

    Nothing is done where there is one machine. All processes come here equally often.
    """
    store = _store()
    if store is None:
        yield
        return
    rank, world = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
    watch = Watch(store, rank, world, f"lm_eval_calibration/{next(_COUNT)}")
    watch.start()
    try:
        yield
    except BaseException:
        watch.end(FAILED)
        raise
    watch.end(DONE)


class Watch:
    """One process's sign of life, and its eye on those of the others.

    Args:
        store: of torch's process group: `set`, `check` and `get`.
        rank: this process's number.
        world: how many there are.
        name: of the keys.
    """

    def __init__(self, store: Any, rank: int, world: int, name: str) -> None:
        self._store, self._rank, self._name = store, rank, name
        self._told: dict[int, tuple[str, float]] = {}
        self._others = set(range(world)) - {rank}
        self._heard, self._over = time.monotonic(), threading.Event()

    def start(self) -> None:
        """Begin, beside the work."""
        for each in (self._pulse, self._guard):
            threading.Thread(target=each, name="lm-eval-calibration peers", daemon=True).start()

    def end(self, how: str) -> None:
        """Tell the others, and look no more."""
        self._over.set()
        with contextlib.suppress(RuntimeError):  # (the first machine is gone)
            self._store.set(self._key(self._rank), how)

    def _key(self, rank: int) -> str:
        return f"{self._name}/{rank}"

    def _pulse(self) -> None:
        for number in itertools.count():
            try:
                self._store.set(self._key(self._rank), str(number))
                told = {rank: self._of(rank) for rank in sorted(self._others)}
            except RuntimeError as error:
                log.debug("The machines' common store does not answer: %r", error)
            else:
                self._heard = time.monotonic()
                self._look(told)
            if self._over.wait(PULSE):
                return

    def _of(self, rank: int) -> str:
        """What another process has told last; "" before it comes here."""
        key = self._key(rank)
        return str(self._store.get(key).decode()) if self._store.check([key]) else ""

    def _look(self, told: dict[int, str]) -> None:
        now = time.monotonic()
        for rank, said in told.items():
            if said == FAILED:
                self._stop(f"Process {rank} ended with an error")
            if said == DONE:
                self._others.discard(rank)
            elif said and said != self._told.get(rank, ("", now))[0]:
                self._told[rank] = (said, now)
            elif said and now - self._told[rank][1] > SILENCE:
                self._stop(f"Process {rank} has not been heard of for {SILENCE:.0f} seconds")

    def _guard(self) -> None:
        """Where the first machine is gone, the store itself may never answer."""
        while not self._over.wait(PULSE):
            if time.monotonic() - self._heard > SILENCE:
                self._stop(f"The first machine has not been heard of for {SILENCE:.0f} seconds")

    def _stop(self, why: str) -> None:
        if not self._over.is_set():
            self._over.set()
            _leave(why)


def _leave(why: str) -> NoReturn:
    """End this process, whatever it is at: the work may be waiting for the others for ever."""
    log.error(
        "%s, so this one ends too. No results were written. With --use_cache (and of a fit's pass in any "
        "case) what was answered is kept: the same commands on all machines go on from there.",
        why,
    )
    os._exit(1)


def _store() -> Any:
    """Where processes of several machines can tell each other something; `None` if it is one."""
    if int(os.environ.get("GROUP_WORLD_SIZE", "1")) < 2:
        return None
    from torch import distributed
    from torch.distributed import distributed_c10d

    if not distributed.is_available() or not distributed.is_initialized():
        return None
    store = distributed_c10d._get_default_store()
    clone = getattr(store, "clone", None)
    own = store if clone is None else clone()  # (a connection of its own)
    own.set_timeout(timedelta(seconds=SILENCE))
    return own
