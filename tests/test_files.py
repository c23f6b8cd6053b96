"""Files are there whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import write_text, write_whole
from lm_eval_calibration.predictions import Predictions


def test_written_into_a_new_folder_as_any_other_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.safetensors"
    write_whole(path, lambda partial: save_file({"x": np.arange(3)}, partial))
    (plain := tmp_path / "plain").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert os.listdir(path.parent) == ["b.safetensors"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def broken(partial: Path) -> None:
        partial.write_text("half")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        write_whole(path, broken)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.txt"]


def test_text_that_utf_8_cannot_hold(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "a\ud800b")
    assert (tmp_path / "x").read_text(encoding="utf-8") == "a?b"


def test_many_writers_one_whole_file(tmp_path: Path) -> None:
    texts = [str(i) * 20000 for i in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "x", text), texts * 5))
    assert (tmp_path / "x").read_text() in texts
    assert os.listdir(tmp_path) == ["x"]


WRITER = """
import itertools, sys
from pathlib import Path
from lm_eval_calibration.files import write_text
print("ready", flush=True)
for i in itertools.count():
    write_text(Path(sys.argv[1]), str(i % 10) * 500_000)
"""


def test_a_kill_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for moment in np.random.default_rng(0).uniform(0, 0.1, 8):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moment)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if path.exists():
            text = path.read_text()
            assert len(text) == 500_000 and len(set(text)) == 1


def test_the_halves_of_two_artifacts_are_not_taken_for_one(tmp_path: Path) -> None:
    for name, gold in (("a", [1, 1, 0]), ("b", [1, 0, 0])):
        beliefs = Predictions.from_options([[0.0, 9.0]] * 3, gold)
        fit("temperature", beliefs).save_pretrained(tmp_path / name)
    Calibrator.from_pretrained(tmp_path / "a")
    tensors = (tmp_path / "b" / "model.safetensors").read_bytes()
    (tmp_path / "a" / "model.safetensors").write_bytes(tensors)
    with pytest.raises(InvalidInputError, match=r"not the one that config\.json speaks of"):
        Calibrator.from_pretrained(tmp_path / "a")
