"""Files are there whole or not at all."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from lm_eval_calibration import __version__
from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.files import (
    JSON,
    KEY,
    PAGE,
    TENSORS,
    stamped,
    write_folder,
    write_json,
    write_tensors,
    write_text,
    write_whole,
)
from lm_eval_calibration.files.staging import NOTE, PREFIX, clear, note
from lm_eval_calibration.predictions import Predictions

PAGE_TEXT = '<meta name="generator" content="lm-eval-calibration 1">'


def page(text: str) -> str:
    return f"{PAGE_TEXT}{text}"


def test_written_into_a_new_folder_as_any_other_file(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.safetensors"
    write_tensors(path, save_file, {"x": np.arange(3)})
    (plain := tmp_path / "plain").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert os.listdir(path.parent) == ["b.safetensors"] and TENSORS.ours(path)
    assert load_file(path)["x"].tolist() == [0, 1, 2]


def test_the_same_tensors_make_the_same_bytes(tmp_path: Path) -> None:
    about = dict.fromkeys(["format", "license", "author", "title"], "é\n")
    written = set()
    for i in range(8):  # (with one entry more for each, safetensors would pick one of 120 orders)
        write_tensors(tmp_path / str(i), save_file, {"x": np.arange(3.0)}, about)
        written.add((tmp_path / str(i)).read_bytes())
    assert len(written) == 1 and np.array_equal(load_file(tmp_path / "0")["x"], np.arange(3.0))
    with safe_open(tmp_path / "0", "np") as file:
        assert file.metadata() == {**about, KEY: __version__}


def test_permissions_of_what_is_replaced_stay(tmp_path: Path) -> None:
    path = tmp_path / "private.html"
    write_text(path, page("old"), PAGE)
    path.chmod(0o600)
    write_text(path, page("new"), PAGE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.read_text() == page("new")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, page("old"), PAGE)

    def broken(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"x\.txt` cannot be written: No space left"):
        write_whole(path, broken, PAGE)
    assert path.read_text() == page("old")
    assert os.listdir(tmp_path) == ["x.txt"]
    with pytest.raises(OutputError, match="No space"):
        write_whole(tmp_path / "a" / "b" / "x", broken, PAGE)
    assert os.listdir(tmp_path) == ["x.txt"]


def test_text_that_utf_8_cannot_hold(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "a\ud800b", PAGE)
    assert (tmp_path / "x").read_text(encoding="utf-8") == "a?b"


def test_many_writers_one_whole_file(tmp_path: Path) -> None:
    texts = [page(str(i) * 20000) for i in range(10)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_text(tmp_path / "x", text, PAGE), texts * 5))
    assert (tmp_path / "x").read_text() in texts
    assert os.listdir(tmp_path) == ["x"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "x" * 200_000, PAGE)
    reader.join()
    assert read == ["x" * 200_000] and stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    (target := tmp_path / "elsewhere").mkdir()
    (link := tmp_path / "link").symlink_to(target / "page.html")
    for text in ("one", "two"):
        write_text(link, page(text), PAGE)
        assert link.is_symlink() and (target / "page.html").read_text() == page(text)


def test_standard_output_is_never_replaced(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lm_eval_calibration.files import PAGE, write_text;"
        "print('before'); write_text(Path(sys.argv[1]), 'text', PAGE); print('after')"
    )
    for name in ("/dev/stdout", str(tmp_path / "out")):
        with (tmp_path / "out").open("wb") as out:
            subprocess.run([sys.executable, "-c", program, name], stdout=out, check=True)
        assert (tmp_path / "out").read_text() == "before\ntextafter\n"


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        folder.mkdir()
        (folder / "x").write_text("whole")

    write_folder(tmp_path / "a" / "model", fill)
    assert (tmp_path / "a" / "model" / "x").read_text() == "whole"
    with pytest.raises(OutputError, match=r"not empty \(x\)\. Name a new folder"):
        write_folder(tmp_path / "a" / "model", fill)
    assert os.listdir(tmp_path / "a") == ["model"]


WRITER = """
import itertools, sys
from pathlib import Path
from lm_eval_calibration.files import PAGE, write_text
print("ready", flush=True)
for i in itertools.count():
    write_text(Path(sys.argv[1]), sys.argv[2] + str(i % 10) * 500_000, PAGE)
"""


def test_a_kill_leaves_a_whole_file_and_what_it_left_goes_with_the_next(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for moment in np.random.default_rng(0).uniform(0, 0.1, 8):
        command = [sys.executable, "-c", WRITER, str(path), PAGE_TEXT]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moment)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if path.exists():
            text = path.read_text().removeprefix(PAGE_TEXT)
            assert len(text) == 500_000 and len(set(text)) == 1
    (others := tmp_path / f"{PREFIX}of-somebody").mkdir()
    (others / "thesis.txt").write_text("mine")
    lives = tmp_path / f"{PREFIX}lives"
    write_json(lives / NOTE, {"kind": "stage", "host": "another", "process": 1})
    write_text(path, page("last"), PAGE)
    left = {entry for entry in os.listdir(tmp_path) if entry not in ("x", others.name, lives.name)}
    # (a folder without a whole note may be one that a process is just making: it stays for a minute)
    assert not any(note(tmp_path / name) for name in left)
    for name in left:
        os.utime(tmp_path / name, (0, 0))
    clear(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(("x", others.name, lives.name))
    assert (others / "thesis.txt").read_text() == "mine"


def test_an_artifact_is_replaced_at_once(tmp_path: Path) -> None:
    for name, gold in (("a", [1, 1, 0]), ("b", [1, 0, 0])):
        beliefs = Predictions.from_options([[0.0, 9.0]] * 3, gold)
        fit("temperature", beliefs).save_pretrained(tmp_path / name)
    first, second = (Calibrator.from_pretrained(tmp_path / name) for name in "ab")
    assert first.parameters != second.parameters
    tensors = (tmp_path / "b" / "model.safetensors").read_bytes()
    (tmp_path / "a" / "model.safetensors").write_bytes(tensors)  # as if killed before config.json
    assert Calibrator.from_pretrained(tmp_path / "a").parameters == second.parameters


def test_json_is_known_by_its_mark(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    assert JSON.ours(tmp_path / "x.json") and stamped({"a": 1}).keys() == {
        "lm_eval_calibration",
        "a",
    }
