"""Samples files and tables, whatever is in them, end in runs or in our own errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged_lines import NAME
from mutations import VALUES, broken, changed, fuzzing, ours
from seeds import CHOICES, GENERATED, lines

from lm_eval_calibration.fitting.responses import of_samples, of_table
from lm_eval_calibration.metrics import METRICS, evaluate
from lm_eval_calibration.samples import read_runs
from lm_eval_calibration.samples.pairs import Columns, read_table


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / NAME


def read(file: Path, content: bytes) -> None:
    """As `lm-calib score` and `lm-calib fit fractal` do."""
    file.write_bytes(content)
    for skip_bad in (False, True):
        with ours():
            runs, _ = read_runs([file], skip_bad=skip_bad)
            for samples in runs[0].samples.values():
                assert len(samples)
                evaluate(samples.predictions, list(METRICS), replicates=0)
    with ours():
        assert of_samples([str(file)], "exact_match", "sentences", None).responses


@pytest.mark.parametrize("samples", [CHOICES, GENERATED], ids=["choices", "generated"])
def test_values(samples: list[Any], file: Path) -> None:
    @given(changed(samples, times=3))
    @fuzzing
    def run(given_: Any) -> None:
        read(file, lines(given_ if isinstance(given_, list) else [given_]))

    run()


@pytest.mark.parametrize("samples", [CHOICES, GENERATED], ids=["choices", "generated"])
def test_bytes(samples: list[Any], file: Path) -> None:
    @given(broken(lines(samples)))
    @fuzzing
    def run(content: bytes) -> None:
        read(file, content)

    run()


ROWS = [{"p": 0.1 * i, "right": i % 2, "model": "m", "task": "t"} for i in range(5)]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_tables(suffix: str, file: Path) -> None:
    columns = Columns("p", "right", run="model", task="task")
    path = file.with_suffix(suffix)
    whole = lines(ROWS) if suffix == ".jsonl" else b"p,right,model,task\n0.5,1,m,t\n0.25,0,m,t\n"

    @given(
        st.one_of(
            broken(whole),
            changed(ROWS, times=3).map(lambda v: lines(v if isinstance(v, list) else [v])),
        )
    )
    @fuzzing
    def run(content: bytes) -> None:
        path.write_bytes(content)
        for skip_bad in (False, True):
            with ours():
                runs, _ = read_table([path], columns, skip_bad=skip_bad)
                for r in runs:
                    for samples in r.samples.values():
                        p = samples.predictions.confidence
                        assert ((p >= 0) & (p <= 1)).all() and np.isfinite(p).all()

    run()


BAGS = [
    {"question": "q", "response": "One. Two.", "label": i % 2, "sentence_labels": [1, i % 2]}
    for i in range(4)
]
PAIRS = [
    {"question": "q", "first": "One.", "second": ["Two.", "Three."], "preferred": 1 + i % 2}
    for i in range(4)
]


@pytest.mark.parametrize("rows", [BAGS, PAIRS], ids=["labels", "preferences"])
def test_tables_of_responses(rows: list[Any], file: Path) -> None:
    path = file.with_suffix(".jsonl")

    @given(changed(rows, times=3) | st.lists(VALUES, max_size=2))
    @fuzzing
    def run(given_: Any) -> None:
        path.write_bytes(lines(given_ if isinstance(given_, list) else [given_]))
        with ours():
            assert of_table(path, "sentences").responses

    run()
