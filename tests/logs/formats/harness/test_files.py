"""Which files an argument stands for, and what the harness's results say of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.files import newest, sample_files, task_name
from lm_eval_calibration.logs.formats.harness.results import groups_of, results_of
from lm_eval_calibration.logs.runs import find_runs

OLD = "samples_{}_2025-01-01T00-00-00.000001.jsonl"
NEW = "samples_{}_2026-01-01T00-00-00.000001.jsonl"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for model in ("a", "b"):
        (tmp_path / model).mkdir()
        for pattern in (OLD, NEW):
            for task in ("arc_easy", "mmlu_a_b"):
                (tmp_path / model / pattern.format(task)).write_text("{}\n")
    (tmp_path / "a" / "results_2026-01-01T00-00-00.000001.json").write_text('{"n": 1}')
    return tmp_path


def test_newest_of_each_task_in_each_folder(folder: Path) -> None:
    found = sample_files(folder)
    assert set(found) == {folder / "a", folder / "b"}
    kept = newest(found[folder / "a"])
    assert set(kept) == {"arc_easy", "mmlu_a_b"}
    assert kept["arc_easy"].path.name == NEW.format("arc_easy")


def test_a_file_that_is_named_is_the_one_that_is_read(folder: Path) -> None:
    old = folder / "a" / OLD.format("arc_easy")
    assert [file.path for file in sample_files(old)[folder / "a"]] == [old]
    (both,) = find_runs([old, folder / "a"])
    assert both.files["arc_easy"].path.name == NEW.format("arc_easy")


@pytest.mark.parametrize(
    ("pattern", "tasks"),
    [("a/samples_arc*", 1), ("*/samples_arc*.jsonl", 2), ("**/*.jsonl", 4), ("*", 4), ("a/*", 2)],
)
def test_patterns(folder: Path, pattern: str, tasks: int) -> None:
    found = find_runs([str(folder / pattern)])
    assert sum(len(left.files) for left in found) == tasks


def test_names() -> None:
    assert task_name(Path(NEW.format("calib_mmlu_a_b"))) == "calib_mmlu_a_b"
    assert task_name(Path(NEW.format("old")[:-1])) == "old"  # .json, as before harness 0.4.4
    assert task_name(Path("mine.jsonl")) == "mine"


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.touch()
    for run, message in (
        (
            tmp_path,
            "holds no logs, such as the samples_<task>_<date>.jsonl of `lm_eval --log_samples",
        ),
        (tmp_path / "gone", "does not exist"),
        (tmp_path / "gone*", "Nothing matches"),
        (table, "is no log, and no folder of logs"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            find_runs([run])


def test_results_of_the_same_date(folder: Path) -> None:
    files = sample_files(folder)
    assert results_of(files[folder / "a"]) == [{"n": 1}]
    assert results_of(files[folder / "b"]) == []
    (folder / "b" / "results_2026-01-01T00-00-00.000001.json").write_text("{")
    with pytest.raises(InvalidInputError, match="not JSON"):
        results_of(files[folder / "b"])


def test_two_models_in_one_folder(tmp_path: Path) -> None:
    """As `--output_path out/name.json` leaves them: a folder is only where files lie."""
    for model, day in (("one", 1), ("two", 2), ("two", 3)):
        date = f"2026-01-0{day}T00-00-00.000001"
        named = {"model_name": f"org/{model}"}
        (tmp_path / f"{model}_{date}.json").write_text(json.dumps(named))
        (tmp_path / f"samples_arc_{date}.jsonl").write_text("{}\n")
    found = {left.label: left for left in find_runs([tmp_path])}
    assert set(found) == {"one", "two"}
    assert found["two"].files["arc"].date.startswith("2026-01-03")
    one = tmp_path / "samples_arc_2026-01-01T00-00-00.000001.jsonl"
    again = find_runs([one, tmp_path])
    assert {left.label for left in again} == {"one", "two"}
    (unknown,) = (tmp_path / "samples_arc_2026-01-04T00-00-00.000001.jsonl",)
    unknown.write_text("{}\n")
    assert {left.label for left in find_runs([tmp_path])} == {"one", "two", tmp_path.name}


def test_groups_are_resolved_to_tasks_and_must_be_whole() -> None:
    members = {
        "mmlu": ["mmlu_stem", "mmlu_other"],
        "mmlu_stem": ["physics", "biology"],
        "mmlu_other": ["law"],
        "arc": ["arc_easy", "gone"],
        "law": [],
    }
    tasks = ["physics", "biology", "law", "arc_easy"]
    groups = groups_of([{"group_subtasks": members}, {}], tasks)
    assert groups == {
        "mmlu": ("physics", "biology", "law"),
        "mmlu_stem": ("physics", "biology"),
        "mmlu_other": ("law",),
    }
    assert groups_of([{"group_subtasks": {"mmlu": ["law"]}}, {"group_subtasks": members}], tasks)[
        "mmlu"
    ] == ("law",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"group_subtasks": {"a": ["a"]}}',
            r"`group_subtasks.'a'` must be no group inside itself",
        ),
        ('{"group_subtasks": {"a": ["b"], "b": ["a"]}}', "no group inside itself"),
        ('{"group_subtasks": ["a"]}', r"`group_subtasks` must be an object of groups, got \['a'\]"),
        (
            '{"group_subtasks": {"a": 5}}',
            r"`group_subtasks.'a'` must be a list of task names, got 5",
        ),
        ('{"group_subtasks": {"a": [null]}}', r"a list of task names, got \[None\]"),
        ('{"model_name": ["a"]}', r"`model_name` must be a text"),
        ("[" * 200_000, "nested deeper"),
        ('{"configs": ' + "[" * 300 + "]" * 300 + "}", "nested deeper than 100 levels"),
        ("[]", "holds a JSON list, not an object"),
        ('{"date": ' + "9" * 5000 + "}", "not JSON"),
        ("\ud800", "not JSON"),
    ],
)
def test_results_that_lie(folder: Path, text: str, message: str) -> None:
    path = folder / "a" / "results_2026-01-01T00-00-00.000001.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(InvalidInputError, match=message) as caught:
        results_of(sample_files(folder)[folder / "a"])
    assert str(path) in str(caught.value) and "take the file away" in str(caught.value)


def test_groups_of_groups_cost_their_members_and_not_their_paths() -> None:
    members = {f"g{i}": [f"g{i + 1}"] * 2 for i in range(3000)} | {"g3000": ["task"]}
    assert groups_of([{"group_subtasks": members}], ["task"])["g0"] == ("task",)
