"""Whole runs: labels, groups, what is left out, and the figures of a group."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_lines import NAME, line
from release import only_0_4

from lm_eval_calibration.analysis.scores import score_all, unavailable
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs, scopes
from lm_eval_calibration.logs.runs import find_runs, size_of

Write = Callable[..., Path]


@only_0_4("0.5 calls a member after where it stands")
def test_a_folder_is_a_run_with_its_groups(group_folder: Path) -> None:
    (run,), unread = read_runs([group_folder])
    assert set(run.samples) == {"calib_toy_norm", "calib_toy_plain", "calib_toy_several"}
    assert run.groups["calib_toy_group"] == tuple(run.samples)
    (reason,) = unread
    assert "samples_toy_generate" in reason
    assert "no multiple-choice document" in reason
    names = [(scope.name, scope.pooled) for scope in scopes(run)]
    assert names[0] == ("calib_toy_group", True)
    assert sorted(n for n, pooled in names if not pooled) == sorted(run.samples)


def test_group_figures_are_the_live_run_s(group_folder: Path) -> None:
    """The means over tasks to the last digit; the pooled ones are of all documents at once."""
    (path,) = group_folder.rglob("results_*.json")
    live = json.loads(path.read_text())["groups"]["calib_toy_group"]
    (run,), _ = read_runs([group_folder])
    group, *tasks = score_all(list(scopes(run))[:1] + [s for s in scopes(run) if not s.pooled])
    compared = 0
    for name, means in group.means.items():
        if f"{name},none" in live:
            assert means.row.value == live[f"{name},none"]
            assert means.row.stderr == live[f"{name}_stderr,none"]
            assert not means.plain
            assert name == "acc" or means.macro.value == live[f"{name}_macro,none"]
            compared += 1
    assert compared >= 8
    assert group.estimates["acc"].value == pytest.approx(live["acc,none"])
    documents = [len(t.scope.predictions) for t in tasks]
    assert len(group.scope.predictions) == sum(documents)
    assert "acc_norm" not in group.estimates  # toy_plain logs none
    assert unavailable(group.scope, ["ece_norm", "nll"]) == {
        "ece_norm": "the run logs no `acc_norm` in every task of it"
    }


@only_0_4("0.5 calls a member after where it stands")
def test_every_metric_by_default(group_folder: Path) -> None:
    from lm_eval_calibration.metrics.table import METRICS

    (run,), _ = read_runs([group_folder])
    (scored,) = score_all([next(s for s in scopes(run) if s.name == "calib_toy_norm")])
    stems = {name.removesuffix("_norm").rpartition("_0.")[0] or name for name in scored.estimates}
    assert set(METRICS) <= stems
    assert next(iter(scored.estimates)) == "acc"
    assert "acc_norm" in scored.estimates
    chosen = score_all([scored.scope], ["ece_norm", "acc", "ece_null"])[0]
    assert list(chosen.estimates) == ["ece_norm", "acc", "ece_null"]
    assert chosen.estimates["ece_norm"].value == scored.estimates["ece_norm"].value
    assert chosen.estimates["ece_norm"].name == "ece_norm"


def test_processes_score_the_same(group_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run,), _ = read_runs([group_folder])
    wanted = list(scopes(run))
    alone = score_all(wanted, ["acc", "ece"], replicates=20)
    monkeypatch.setattr(sys.modules["lm_eval_calibration.analysis.scores"], "MANY_METRICS", 1)
    done: list[str] = []
    together = score_all(wanted, ["acc", "ece"], replicates=20, processes=2, progress=done.append)
    assert [s.estimates for s in together] == [s.estimates for s in alone]
    assert [s.means for s in together] == [s.means for s in alone]
    assert done == ["acc", "ece"] * len(wanted)


def folders(write: Write, *names: str) -> list[Path]:
    return [write([line(0), line(1)], f"{name}/{NAME}").parent for name in names]


def test_labels(write: Write, tmp_path: Path) -> None:
    first, second = folders(write, "out/__home__models__tiny", "out2/tiny")
    runs, _ = read_runs([first])
    assert runs[0].label == "tiny"
    both, _ = read_runs([first, second])
    assert [run.label for run in both] == ["out", "out2"]
    named, _ = read_runs([f"before={first}", f"after={second}"])
    assert [run.label for run in named] == ["before", "after"]
    assert named[0].samples["toy"].run == "before"
    (owned,), _ = read_runs([f"org/tiny={first}"])
    assert owned.label == "org/tiny"
    same, _ = read_runs([f"x={first}", f"x={first}"])
    assert len({run.label for run in same}) == 2


def test_the_model_s_name_comes_from_the_results(write: Write) -> None:
    (folder,) = folders(write, "anything")
    results = folder / NAME.replace("samples_toy", "results").replace(".jsonl", ".json")
    results.write_text(json.dumps({"model_name": "org/tiny-1B"}))
    (run,), _ = read_runs([folder])
    assert run.label == "tiny-1B"
    assert run.results[0]["model_name"] == "org/tiny-1B"


def test_one_run_each(write: Write, tmp_path: Path) -> None:
    folders(write, "a", "b")
    with pytest.raises(InvalidInputError, match=r"holds several runs; name one: .*a, .*b"):
        read_runs([tmp_path], one_each=True)
    runs, _ = read_runs([tmp_path / "a", tmp_path / "b"], one_each=True)
    assert [run.label for run in runs] == ["a", "b"]
    twice, _ = read_runs([tmp_path / "a" / NAME, tmp_path / "a" / NAME], one_each=True)
    assert len(twice) == 2


def test_files_of_one_folder_are_one_run(write: Write) -> None:
    first = write([line(0)], NAME)
    second = write([line(0)], NAME.replace("toy", "other"))
    (run,), _ = read_runs([first, second])
    assert list(run.samples) == ["toy", "other"]
    assert size_of(find_runs([first, second])) == first.stat().st_size + second.stat().st_size


def test_nothing_but_generation_is_an_error(write: Write) -> None:
    path = write([line(0, filtered_resps=["words"])])
    with pytest.raises(InvalidInputError, match=r"Nothing can be read.*words"):
        read_runs([path])


def test_documents_are_read_again_from_their_lines(write: Write) -> None:
    lines: list[Any] = [
        "\n",
        line(7, texts=["ja", "nein"], target="1"),
        line(8, texts=["a", "b", "c"], scores=[-3.0, -1.0, -2.0], target="[0, 2]"),
    ]
    (run,), _ = read_runs([write(lines)])
    second, first = read_documents(run.samples["toy"], [1, 0])
    assert (first.doc_id, first.prompt, first.options) == ("7", "question 7", ("ja", "nein"))
    assert (first.gold, first.predicted) == ((1,), 0)
    assert (second.gold, second.predicted) == ((0, 2), 1)
    assert second.confidence == run.samples["toy"].predictions.confidence[1]
    run.samples["toy"].path.unlink()
    with pytest.raises(InvalidInputError, match="cannot be read again"):
        read_documents(run.samples["toy"], [0])


def test_beliefs_that_tell_nothing_and_keys_that_name_nothing_are_noted(write: Write) -> None:
    """As a live run warns (cases E4 and W11)."""
    lines = [line(i, target="9" if i < 3 else "0", acc=None) for i in range(8)]
    (run,), _ = read_runs([write([{k: v for k, v in x.items() if k != "acc"} for x in lines])])
    (samples,) = run.samples.values()
    assert any("answer key of 3 document(s) names none" in note for note in samples.notes)
    flat = [line(i, scores=[-1.0, -1.0], target="0") for i in range(8)]
    (run,), _ = read_runs([write([{k: v for k, v in x.items() if k != "acc"} for x in flat])])
    (samples,) = run.samples.values()
    assert any("have the same log-likelihood" in note for note in samples.notes)
