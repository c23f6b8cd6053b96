"""Which files are tables, and what their paths say."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables import Columns, read_table

TEXT = "p,ok,task\n0.5,1,x\n0.25,0,y\n"
PLAIN = Columns("p", "ok")
BY_PATH = Columns("p", "ok", run_from="{model}/{task}_test.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two models, a folder each, with a file for each of two tasks."""
    for model in ("ada", "babbage"):
        (tmp_path / "results" / model).mkdir(parents=True)
        for task in ("law", "world_history"):
            (tmp_path / "results" / model / f"{task}_test.csv").write_text(TEXT)
    return tmp_path / "results"


def test_models_and_tasks_from_paths(folder: Path) -> None:
    wanted = [(model, ["law", "world_history"]) for model in ("ada", "babbage")]
    archive = folder.parent / "all.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in folder.rglob("*.csv"):
            zipped.write(path, path.relative_to(folder.parent))
    for given in (folder, folder / "*" / "*.csv", archive, f"file://{folder}"):
        runs, left_out = read_table([given], BY_PATH)
        assert [(run.label, list(run.samples)) for run in runs] == wanted and left_out == []
    every = sorted(folder.rglob("*.csv"))
    assert [run.label for run in read_table(every, BY_PATH, apart=True)[0]] == ["ada", "babbage"]
    by_both = Columns("p", "ok", run_from="{model}/*.csv", task_from="{task}_test.csv")
    assert [(run.label, list(run.samples)) for run in read_table([folder], by_both)[0]] == wanted
    by_column = Columns("p", "ok", task="task", run_from="results/{model}/*")
    assert [list(run.samples) for run in read_table([folder], by_column)[0]] == [["x", "y"]] * 2


def test_a_place_that_stands_twice_is_one(folder: Path) -> None:
    (folder / "ada" / "ada_law_test.csv").write_text(TEXT)
    columns = Columns("p", "ok", run_from="{model}/{model}_{task}_test.csv")
    (run,), _ = read_table([folder / "ada" / "ada_law_test.csv"], columns)
    assert (run.label, list(run.samples)) == ("ada", ["law"])


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{model}/{task}_dev.csv", r"law_test\.csv does not end so"),
        ("x/{model}/{task}_test.csv", "does not end so"),
        ("{model}_{task}.csv", "two ways, model 'world', task 'history_test' or model 'world_history'"),
    ],
)  # fmt: skip
def test_paths_that_do_not_say_it(folder: Path, pattern: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_table([folder], Columns("p", "ok", run_from=pattern))


def test_endings_in_any_case_packed_or_not(tmp_path: Path) -> None:
    plain = {
        "a.CSV": TEXT,
        "b.Tsv": TEXT.replace(",", "\t"),
        "c.JSONL": '{"p": 0.5, "ok": 1}\n{"p": 0.25, "ok": 0}\n',
    }
    for name, text in plain.items():
        (tmp_path / name).write_text(text)
        (tmp_path / f"{name}.GZ").write_bytes(gzip.compress(text.encode()))
        zstd = bytes(pa.compress(text.encode(), codec="zstd", asbytes=True))
        (tmp_path / f"packed-{name}.zst").write_bytes(zstd)
        for given in (name, f"{name}.GZ", f"packed-{name}.zst"):
            (run,), _ = read_table([tmp_path / given], PLAIN)
            assert run.samples[""].predictions.confidence.tolist() == [0.5, 0.25], given
    (run,), _ = read_table([f"{tmp_path}/[abc].*"], PLAIN)
    assert len(run.samples[""]) == 6  # a file beside its compressed copy counts once
    (run,), _ = read_table([tmp_path], PLAIN)
    assert len(run.samples[""]) == 12


def test_places_without_tables(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    for given, message in (
        (tmp_path, r"holds no \.csv, \.tsv, \.jsonl, \.parquet file"),
        (tmp_path / "*.txt", "holds no .csv"),
        (tmp_path / "*.csv", "Nothing matches"),
        (tmp_path / "gone.csv", "does not exist"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_table([given], PLAIN)


def test_messages_name_what_was_given(tmp_path: Path) -> None:
    from lm_eval_calibration.logs.packed import as_given

    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"p,ok\n7,1\n"))
    for given in (str(path), f"file://{path}"):
        with pytest.raises(InvalidInputError) as error:
            read_table([given], PLAIN)
        assert (
            as_given(str(error.value))
            .removeprefix("file://")
            .startswith(f"{tmp_path}/t.csv, row 1")
        )
