"""Machines that watch each other: who goes unheard, and when."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from lm_eval_calibration import peers


class Store:
    """Of a process group, in a dictionary; `gone` where the first machine is."""

    def __init__(self) -> None:
        self.told: dict[str, bytes] = {}
        self.gone = False

    def set(self, key: str, value: str) -> None:
        if self.gone:
            raise RuntimeError("Connection reset by peer")
        self.told[key] = value.encode()

    def check(self, keys: list[str]) -> bool:
        return all(key in self.told for key in keys)

    def get(self, key: str) -> bytes:
        return self.told[key]


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why processes would have ended."""
    found: list[str] = []
    monkeypatch.setattr(peers, "PULSE", 0.01)
    monkeypatch.setattr(peers, "SILENCE", 0.3)
    monkeypatch.setattr(peers, "_leave", found.append)
    return found


def watch(store: Any, rank: int) -> peers.Watch:
    made = peers.Watch(store, rank, 2, "run")
    made.start()
    return made


def until(condition: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def test_both_live_and_end(left: list[str]) -> None:
    store = Store()
    a, b = watch(store, 0), watch(store, 1)
    time.sleep(0.5)
    b.end(peers.DONE)
    time.sleep(0.5)  # (one that has done its work may go)
    a.end(peers.DONE)
    assert left == []


def test_one_that_has_not_come_yet_is_waited_for(left: list[str]) -> None:
    store = Store()
    a = watch(store, 0)
    time.sleep(0.6)
    assert left == []
    a.end(peers.DONE)


def test_one_that_falls_silent(left: list[str]) -> None:
    store = Store()
    a, b = watch(store, 0), watch(store, 1)
    until(lambda: "run/1" in store.told)
    time.sleep(0.1)
    b._over.set()
    until(lambda: left != [])
    assert left == ["Process 1 has not been heard of for 0 seconds"]
    a.end(peers.DONE)


def test_one_that_failed(left: list[str]) -> None:
    store = Store()
    a, b = watch(store, 0), watch(store, 1)
    b.end(peers.FAILED)
    until(lambda: left != [])
    assert left == ["Process 1 ended with an error"]
    a.end(peers.DONE)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_first_machine_that_is_gone(left: list[str], hangs: bool) -> None:
    """Its store answers with errors, or not at all."""
    store = Store()
    b = watch(store, 1)
    until(lambda: "run/1" in store.told)
    if hangs:
        store.set = lambda *_: threading.Event().wait(2)  # type: ignore[method-assign,assignment,return-value]
    store.gone = True
    until(lambda: left != [])
    assert left == ["The first machine has not been heard of for 0 seconds"]
    b.end(peers.DONE)


def test_one_machine_watches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUP_WORLD_SIZE", raising=False)
    before = threading.active_count()
    with peers.watched():
        assert threading.active_count() == before
