"""Details of lighteval, of real runs of two releases, and of the Open LLM Leaderboard v1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from published_runs import logged, read, unpacked
from pyarrow import parquet

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs
from lm_eval_calibration.logs.formats.details import LEADERBOARD, LIGHTEVAL
from lm_eval_calibration.logs.formats.details.literal import value_of
from lm_eval_calibration.report.examples import examples, has_texts
from lm_eval_calibration.testing import check_format

RELEASES = {"0.6.2": (5, 2, 0), "0.8.1": (5, 2, 0), "0.10.0": (5, 2, 0), "0.13.0": (3, 0, 1)}
"""Tasks that are read of each release's run, those with length-normalised beliefs, and tasks left out."""
DATE = "2024-01-02T03-04-05.000006"
FILE = f"details_harness|arc:challenge|25_{DATE}.parquet"
MC1 = "truthfulqa_mc1"
ROW: dict[str, Any] = {
    "full_prompt": "Q?",
    "choices": ["a", "bcd"],
    "gold_index": 1,
    "predictions": [-2.0, -1.0],
    "metrics": {"acc": 1.0, "acc_norm": 1.0},
}


def write(folder: Path, *rows: dict[str, Any], name: str = FILE) -> Path:
    parquet.write_table(pa.Table.from_pylist(list(rows)), folder / name)
    return folder / name


@pytest.mark.parametrize("release", RELEASES)
def test_figures_are_those_that_lighteval_logged(release: str, tmp_path: Path) -> None:
    folder = unpacked(f"lighteval-{release}", tmp_path)
    results = logged(folder, "results_*.json")
    runs, left_out = read(folder)
    (run,) = runs.values()
    compared = 0
    for task, samples in run.samples.items():
        said = results[task]
        assert samples.predictions.correct.mean() == said.get("acc", said.get(MC1))
        if samples.normalised:
            compared += 1
            assert samples.normalised["_norm"].correct.mean() == said["acc_norm"]
    assert (len(run.samples), compared, len(left_out)) == RELEASES[release]


def test_both_releases_say_the_same_of_the_same_model(tmp_path: Path) -> None:
    runs, left_out = read(unpacked("lighteval-0.6.2", tmp_path))
    new, left_out = read(unpacked("lighteval-0.13.0", tmp_path))
    (old_run,), (new_run,) = runs.values(), new.values()
    assert "answers were generated" in left_out[0] and "hellaswag" in left_out[0]
    one, other = old_run.samples["lighteval|arc:easy|0"], new_run.samples["arc:easy|0"]
    assert one.doc_hash.tolist() == other.doc_hash.tolist()
    assert one.predictions.confidence == pytest.approx(other.predictions.confidence, abs=1e-3)
    assert "mc1" in new_run.samples["truthfulqa:mc|0"].notes[0]
    assert set(new) == {"llama"}
    shown = read_documents(other, [0])[0]
    assert shown.options[0] == "birch amber" and shown.prompt.endswith("Answer:")
    assert has_texts(other) and examples(other, 2)


@pytest.mark.parametrize("release", RELEASES)
def test_laws_of_lighteval_s_details(release: str, tmp_path: Path) -> None:
    folder = unpacked(f"lighteval-{release}", tmp_path)
    for path in [*folder.rglob("*winogrande*"), *folder.rglob("*hellaswag*")]:
        path.unlink()
    check_format(LIGHTEVAL, folder)


def test_the_leaderboard(tmp_path: Path) -> None:
    folder = unpacked("leaderboard", tmp_path)
    check_format(LEADERBOARD, folder)
    runs, left_out = read(folder)
    arc = runs["llama"].samples["harness|arc:challenge|25"]
    (path,) = folder.rglob("*arc*")
    metrics = parquet.read_table(path).column("metrics").to_pylist()
    assert arc.predictions.correct.tolist() == [m["acc"] for m in metrics]
    assert arc.normalised["_norm"].correct.tolist() == [m["acc_norm"] for m in metrics]
    assert "gsm8k" in left_out[0]
    assert len(runs["llama"].samples["harness|hendrycksTest-anatomy|5"]) == 12  # gold as text


@pytest.mark.parametrize("bar", ["%7C", "_", "|"])
def test_names_of_the_leaderboard_s_files(bar: str, tmp_path: Path) -> None:
    for date in ("2023-01-01T00-00-00.000001", DATE):
        folder = tmp_path / "details_org__some" / date
        folder.mkdir(parents=True)
        name = FILE.replace("|", bar).replace(DATE, date)
        write(folder, *[ROW] * (1 + (date == DATE)), name=name)
    runs, _ = read(tmp_path)
    assert list(runs) == ["some"] and list(runs["some"].samples) == ["harness|arc:challenge|25"]
    assert len(runs["some"].samples["harness|arc:challenge|25"]) == 2  # the newer one


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"predictions": [-2.0, float("nan")]}, "option 1 .* is nan"),
        ({"predictions": [-2.0, None]}, "option 1 .* is None"),
        ({"predictions": [-2.0, 3.0]}, "must be 0 or below"),
        ({"predictions": None}, "no log-likelihoods"),
        ({"predictions": []}, "no log-likelihoods"),
        ({"predictions": [-1.0, -2.0, -3.0]}, "3 log-likelihoods of 2 options"),
        ({"predictions": [-np.inf, -np.inf]}, "all options"),
        ({"predictions": [-1.0, -2.0]}, "logged `acc` = 1"),
        ({"gold_index": None}, "none of the options|neither a number"),
        ({"metrics": {"acc": 0.0, "acc_norm": 1.0}}, "logged `acc` = 0"),
        ({"metrics": {"acc": 1.0, "acc_norm": 0.0}}, "logged `acc_norm` = 0"),
    ],
)
def test_bad_rows(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path, ROW, {**ROW, **change}, *[ROW] * 3)
    with pytest.raises(InvalidInputError, match=f"row 2: .*({message})") as error:
        read_runs([path])
    assert FILE in str(error.value) and "--skip-bad" in str(error.value)
    (run,), _ = read_runs([path], skip_bad=True)
    (samples,) = run.samples.values()
    assert len(samples) == 4 and "1 row left out" in samples.notes[0]


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, {"choices": ["a", "b"], "gold": 1})
    with pytest.raises(InvalidInputError, match="neither the columns"):
        read_runs([path])
    parquet.write_table(pa.Table.from_pylist([ROW]).slice(0, 0), path)
    with pytest.raises(InvalidInputError, match="is empty"):
        read_runs([path])
    path.write_bytes(b"PAR1")
    with pytest.raises(InvalidInputError, match="cannot be read as Parquet"):
        read_runs([path])


def test_texts_of_values() -> None:
    assert value_of("[(np.float64(-1.5), False), (nan, True)]") == [(-1.5, False), (None, True)]
    assert value_of("['an inf', \"nan\", 'it\\'s nan']") == ["an inf", "nan", "it's nan"]
    assert value_of("{'acc': -inf}") == {"acc": -float("inf")}
    for text in ("__import__('os')", "[" * 5000, "f(1)", ""):
        with pytest.raises(InvalidInputError, match="no value"):
            value_of(text)
