"""Two runs of one model: what is equal, what moved, and whether a promise was kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import RUNNER, run
from logged_lines import NAME, line

from lm_eval_calibration.analysis.noise import noise_of, promise
from lm_eval_calibration.cli.app import app
from lm_eval_calibration.logs import read_runs

SAID = {"dtype": "float32", "fingerprint": "0123456789abcdef"}


def write(
    folder: Path, moved: float = 0.0, said: Any = None, weights: str = "w", count: int = 40
) -> Path:
    """Documents; of one in four the first log-likelihood is moved."""
    folder.mkdir(parents=True)
    scores = [[-1 - n % 7 + (moved if n % 4 == 0 else 0), -2 - n % 5] for n in range(count)]
    lines = [line(n, scores=s, doc_hash=f"{n:08x}".ljust(64, "0")) for n, s in enumerate(scores)]
    (folder / NAME).write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    config = {"model": "hf-fast", "model_args": {}, **({"reproducible": said} if said else {})}
    results = {"results": {}, "config": config, "lm_eval_calibration": {"fingerprint": weights}}
    (folder / NAME.replace("samples_toy", "results").replace("jsonl", "json")).write_text(
        json.dumps(results)
    )
    return folder


def both(tmp_path: Path, **second: Any) -> Any:
    paths = [write(tmp_path / "a", said=SAID), write(tmp_path / "b", **{"said": SAID, **second})]
    return read_runs(paths)[0]


def test_what_moved(tmp_path: Path) -> None:
    (found,) = noise_of(*both(tmp_path, moved=0.25), ["acc", "nll"])
    assert (found.documents, found.options, found.equal) == (40, 80, 70)
    assert found.largest == 0.25 and found.typical == 0
    assert found.flipped == sum(
        (-1 - n % 7 < -2 - n % 5) != (-0.75 - n % 7 < -2 - n % 5) for n in range(0, 40, 4)
    )
    moved = {m.name: m for m in found.metrics}
    assert moved["nll"].first != moved["nll"].second and moved["nll"].half > 0


@pytest.mark.parametrize(
    ("second", "promised"),
    [
        ({}, True),
        ({"said": {**SAID, "fingerprint": "other"}}, False),
        ({"said": None}, False),
        ({"weights": "others"}, False),
    ],
)
def test_a_promise_is_of_one_arithmetic_and_the_same_weights(
    tmp_path: Path, second: Any, promised: bool
) -> None:
    assert (promise(*both(tmp_path, **second)) is not None) is promised


def test_the_commands_say_whether_it_was_kept(tmp_path: Path) -> None:
    a, b, c = write(tmp_path / "a", said=SAID), write(tmp_path / "b", said=SAID), tmp_path / "c"
    write(c, moved=1e-6, said=SAID)
    kept = run("noise", a, b)
    assert "all 80 log-likelihoods are the same to the bit" in " ".join(kept.stdout.split())
    broken = RUNNER.invoke(app, ["noise", str(a), str(c)])
    assert broken.exit_code == 1
    assert "BROKEN" in broken.stdout and "10 of 80 log-likelihoods" in " ".join(
        broken.stdout.split()
    )
    compared = run("compare", a, c, "--metrics", "acc")
    assert "BROKEN" in compared.stderr
    told = json.loads(RUNNER.invoke(app, ["noise", str(a), str(c), "--json"]).stdout)
    assert told["noise"][0]["equal"] == 70 and told["noise"][0]["metrics"]["acc"]["first"] > 0
    assert "0.0000010" not in run("noise", a, b, "--csv").stdout


def test_what_only_one_run_has_is_said(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", said=SAID), write(tmp_path / "b", said=SAID, count=30)
    said = " ".join(run("noise", a, b).stdout.split())
    assert "left out: a: 10 of the 40 documents of toy are not in all runs." in said
    assert "all 60 log-likelihoods are the same to the bit" in said
    assert len(
        json.loads(RUNNER.invoke(app, ["noise", str(a), str(b), "--json"]).stdout)["left_out"]
    )


def test_runs_that_are_not_two(tmp_path: Path) -> None:
    alone = RUNNER.invoke(app, ["noise", str(write(tmp_path / "a"))])
    assert "takes two runs of one model, got 1" in str(alone.exception)
