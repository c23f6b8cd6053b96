"""Every command that writes, over trees of files, folders, links, pipes and models of others.

Whatever was not ours is there afterwards, bit for bit, and a command that is refused leaves nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import RUNNER, app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from safetensors.numpy import save_file

from lm_eval_calibration.calibrators import fit
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.files import PAGE, claim_folder, remove_work, write_text
from lm_eval_calibration.predictions import Predictions

Tree = dict[str, Any]
"""Names, and what is made there: bytes, a link's target, a maker, or a tree."""

BELIEFS = Predictions.from_options([[0.0, -1.0, -2.0], [-0.2, -0.1, -3.0]] * 4, [0, 0] * 4)


def artifact(method: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        fit(method, BELIEFS).save_pretrained(path)

    return make


def checkpoint(path: Path) -> None:
    path.mkdir()
    (path / "config.json").write_text('{"model_type": "llama"}')
    save_file({"weight": np.arange(3.0)}, path / "model.safetensors")


def older_artifact(path: Path) -> None:
    """As releases before the marks wrote it."""
    artifact("temperature")(path)
    (path / ".lm-eval-calibration.json").unlink()
    save_file({"temperature": np.array(2.0)}, path / "model.safetensors")


def replaced_by_a_checkpoint(path: Path) -> None:
    artifact("temperature")(path)
    save_file({"weight": np.arange(3.0)}, path / "model.safetensors")


def page(path: Path) -> None:
    path.write_text('<meta name="generator" content="lm-eval-calibration 0">')


NAMES = st.sampled_from(
    [
        "thesis.txt", "config.json", "model.safetensors", "README.md", "training", "training.json",
        "features", "embeddings", "swag.json", "members.json", "map", "member-0", ".training",
        ".lm-eval-calibration.json", ".lm-eval-calibration-x", "begun.json", "leave_one_out.json",
        "adapter_model.safetensors", "adapter_config.json", "swag.safetensors", "a b",
    ]
)  # fmt: skip
CONTENTS = st.sampled_from(
    [b"mine", b"{}", b'{"method": "temperature"}', b'{"kind": "work"}', b"[[[", b"\0" * 9]
)
LEAVES = st.one_of(
    CONTENTS,
    st.sampled_from(["thesis.txt", "nowhere", "..", "/dev/null"]),  # links
    st.sampled_from([os.mkfifo, checkpoint, artifact("platt"), older_artifact]),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(LEAVES, inner), min_size=1, max_size=4),
    max_leaves=8,
)
PLACES = st.one_of(
    TREES,
    LEAVES.filter(lambda leaf: leaf is not os.mkfifo),  # (which waits for a reader)
    st.sampled_from([artifact("temperature"), artifact("platt"), replaced_by_a_checkpoint, page]),
)


def plant(path: Path, what: Any) -> None:
    if isinstance(what, dict):
        path.mkdir()
        for name, inner in what.items():
            plant(path / name, inner)
    elif isinstance(what, bytes):
        path.write_bytes(what)
    elif isinstance(what, str):
        path.symlink_to(what)
    else:
        what(path)


def seen(root: Path) -> dict[str, Any]:
    """Every entry: its mode, and its bytes or a link's target."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(root):
        for name in [*folders, *files]:
            path = Path(folder, name)
            mode = path.lstat().st_mode
            content: Any = None
            if stat.S_ISREG(mode):
                content = path.read_bytes()
            elif stat.S_ISLNK(mode):
                content = os.readlink(path)
            found[str(path.relative_to(root))] = (mode, content)
    return found


def over(what: Any, write: Callable[[Path], object], overwrite: bool = False) -> bool:
    """Plant a tree, write over it, and see that all that is not ours stays; whether it was written."""
    root = Path(tempfile.mkdtemp(prefix="trees-"))
    try:
        plant(root / "out", what)
        before = seen(root)
        with contextlib.suppress(CalibrationError):
            write(root / "out")
            return kept(before, seen(root), what, overwrite)
        assert seen(root) == before
        return False
    finally:
        shutil.rmtree(root)


def kept(before: dict[str, Any], after: dict[str, Any], what: Any, overwrite: bool) -> bool:
    for name, entry in before.items():
        if not replaceable(name, what, overwrite):
            assert after.get(name) == entry, name
    assert not [n for n in after if ".lm-eval-calibration-" in n and n not in before]
    return True


def replaceable(name: str, what: Any, overwrite: bool) -> bool:
    """Whether it is ours, or was asked to be replaced."""
    if what is page or isinstance(what, bytes):
        return name == "out" and (what is page or overwrite)
    note = ".lm-eval-calibration.json"
    ours = {f"out/{n}" for n in ("config.json", "model.safetensors", "README.md", note)}
    foreign = (checkpoint,) if overwrite else (checkpoint, older_artifact, replaced_by_a_checkpoint)
    return callable(what) and what not in foreign and name in ours


MANY = settings(
    max_examples=20 * EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@MANY
@given(what=PLACES, overwrite=st.booleans())
def test_artifacts(what: Any, overwrite: bool) -> None:
    calibrator = fit("temperature", BELIEFS)
    over(what, lambda out: calibrator.save_pretrained(out, overwrite=overwrite), overwrite)


@MANY
@given(what=PLACES, overwrite=st.booleans())
def test_pages(what: Any, overwrite: bool) -> None:
    over(what, lambda out: write_text(out, "new", PAGE, overwrite=overwrite), overwrite)


@MANY
@given(what=PLACES)
def test_work_folders(what: Any) -> None:
    def train(out: Path) -> None:
        work = claim_folder(out, "swag", work=".training") / ".training"
        (work / "checkpoint").mkdir(exist_ok=True)
        remove_work(work)

    over(what, train)


TAKEN: dict[str, Any] = {
    "a folder of the user's": {"training": {"data": {"thesis.txt": b"mine"}}, "config.json": b"{}"},
    "a checkpoint": checkpoint,
    "an artifact whose tensors are a checkpoint's": replaced_by_a_checkpoint,
    "an artifact of another method": artifact("isotonic"),
    "an artifact of an older release": older_artifact,
    "a link to a checkpoint": lambda path: (checkpoint(path.with_name("x")), path.symlink_to("x")),
    "a file": b"mine",
    "a folder with a note of somebody else's": {".lm-eval-calibration.json": b"{}"},
}
COMMANDS = {
    "report": ["report", "RUN", "-o"],
    "figures": ["report", "RUN", "-o", "page.html", "--figures"],
    "diagram": ["diagram", "RUN", "-o"],
    "trend": ["compare", "RUN", "RUN", "--trend"],
    "sentences": ["fractal", "score", "RUN", "--scorer", "none", "-o"],
    "temperature": ["fit", "temperature", "--samples", "RUN", "-o"],
    "platt": ["fit", "platt", "--tasks", "t", "--model_args", "pretrained=/nowhere", "-o"],
    "verbalized": ["fit", "verbalized", "--samples", "RUN", "-o"],
    "thermometer": ["fit", "thermometer", "--tasks", "t", "--model_args", "pretrained=/no", "-o"],
    "swag": ["fit", "swag", "--tasks", "t", "--model_args", "pretrained=/nowhere", "-o"],
    "fractal": ["fit", "fractal", "--table", "none.csv", "-o"],
}


@pytest.mark.parametrize("taken", TAKEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_refuse_before_they_read_anything(
    command: str, taken: str, workspace: Path
) -> None:
    def run(out: Path) -> None:
        result = RUNNER.invoke(app, [*COMMANDS[command], str(out)])
        assert isinstance(result.exception, CalibrationError), (result.exception, result.output)
        assert str(out) in str(result.exception) and "RUN" not in str(result.exception)
        raise result.exception

    assert not over(TAKEN[taken], run)
