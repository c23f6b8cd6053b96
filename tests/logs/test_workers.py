"""Work in other processes: how many, and what is said when one is killed."""

from __future__ import annotations

import os
import signal

import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.workers import WORKERS, KilledWorkerError, processes, workers


def test_a_killed_worker_is_one_line_that_says_what_to_do() -> None:
    with pytest.raises(KilledWorkerError) as caught, workers(2) as submit:
        submit(signal.raise_signal, signal.SIGKILL)()
    text = str(caught.value)
    assert "before it was done with SIGKILL" in text and f"set {WORKERS}=1" in text
    assert "\n" not in text


def test_the_environment_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKERS, raising=False)
    cores = processes()
    assert 1 <= cores <= (os.cpu_count() or 1)
    for wanted, expected in (("1", 1), ("", cores), ("99999", cores)):
        monkeypatch.setenv(WORKERS, wanted)
        assert processes() == expected
    for wrong in ("0", "-1", "two", "9" * 5000, "٣"):
        monkeypatch.setenv(WORKERS, wrong)
        with pytest.raises(InvalidInputError, match="a whole number, at least 1"):
            processes()
