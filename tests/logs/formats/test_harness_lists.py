"""What older releases of the harness left: lists, of real runs of 0.4.0 and 0.4.2; and lines of 0.4.3 beside them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from logged_lines import line
from published_runs import logged, read, unpacked

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs
from lm_eval_calibration.logs.formats import json_list
from lm_eval_calibration.logs.formats.harness_lists import LISTS
from lm_eval_calibration.testing import check_format

MAY = "samples_arc_easy_2024-05-28T10-00-00.000001.json"
FRACTION = "truthfulqa_mc2"
"""Whose logged `acc` is no verdict."""


@pytest.mark.parametrize("release", ["0.4.0", "0.4.2", "0.4.3"])
def test_figures_are_those_that_the_run_printed(release: str, tmp_path: Path) -> None:
    folder = unpacked(f"harness-{release}", tmp_path)
    results = logged(folder, "results*.json")
    runs, left_out = read(folder)
    assert list(runs) == ["llama"] and not left_out
    samples = runs["llama"].samples
    assert set(samples) == {"arc_easy", "hellaswag", "truthfulqa_mc1", FRACTION, "winogrande"}
    for task, said in results.items():
        if task != FRACTION:
            assert samples[task].predictions.correct.mean() == said["acc,none"]
        if "acc_norm,none" in said:
            normalised = samples[task].normalised["_norm"]
            assert normalised.correct.mean() == said["acc_norm,none"]
    assert runs["llama"].results


def test_lists_say_what_lines_say(tmp_path: Path) -> None:
    lists, _ = read(unpacked("harness-0.4.2", tmp_path))
    lines, _ = read(unpacked("harness-0.4.3", tmp_path))
    for task, samples in lists["llama"].samples.items():
        other = lines["llama"].samples[task]
        assert samples.predictions.confidence.tolist() == other.predictions.confidence.tolist()
        assert samples.doc_hash.tolist() == other.doc_hash.tolist()
        assert read_documents(samples, [5, 0]) == read_documents(other, [5, 0])


@pytest.mark.parametrize("release", ["0.4.0", "0.4.2"])
def test_laws(release: str, tmp_path: Path) -> None:
    folder = unpacked(f"harness-{release}", tmp_path)
    for path in [*folder.glob("*winogrande*"), *folder.glob("*truthful*")]:
        path.unlink()
    check_format(LISTS, folder)


def test_lists_of_may_2024(tmp_path: Path) -> None:
    path = tmp_path / MAY
    path.write_text(json.dumps([line(i) for i in range(30)], indent=2))
    (run,), _ = read_runs([tmp_path])
    assert len(run.samples["arc_easy"]) == 30 and run.samples["arc_easy"].path == path
    (same,), _ = read_runs([path])
    assert len(same.samples["arc_easy"]) == 30


def test_two_models_in_one_folder_are_two_runs(tmp_path: Path) -> None:
    folder = unpacked("harness-0.4.2", tmp_path)
    for path in list(folder.glob("*.jsonl")):
        other = path.name.replace("llama", "other")
        (folder / other).write_bytes(path.read_bytes())
    runs, _ = read(folder)
    assert sorted(runs) == ["llama", "other"]
    assert [len(run.samples) for run in runs.values()] == [5, 5]
    assert [bool(run.results) for _, run in sorted(runs.items())] == [True, False]
    (folder / "results.json").unlink()
    (run,) = read(folder)[0].values()
    assert len(run.samples) == 10  # nothing tells model and task apart in their names


@pytest.mark.parametrize(("indent", "left"), [(2, 9), (None, 4)])
def test_a_bad_document_is_told_by_its_number(
    indent: int | None, left: int, tmp_path: Path
) -> None:
    documents = [line(i) for i in range(10)]
    text = json.dumps(documents, indent=indent)
    one = json.dumps(documents[4], indent=indent)
    one = one if indent is None else one.replace("\n", "\n  ")
    assert one in text
    path = tmp_path / MAY
    path.write_text(text.replace(one, one.replace('"doc_id": 4', '"doc_id": "four"')))
    with pytest.raises(InvalidInputError, match=rf"{MAY}, document 5: `doc_id` must be") as error:
        read_runs([path])
    assert "/tmp/lm-calib-" not in str(error.value)
    (run,), _ = read_runs([path], skip_bad=True)
    assert len(run.samples["arc_easy"]) == 9
    assert run.samples["arc_easy"].notes[0].startswith("1 document left out, the first of them doc")
    path.write_text(text.replace(one, one[:-30] + (one[-1] if indent else "")))
    with pytest.raises(InvalidInputError, match="document 5: "):
        read_runs([path])
    (run,), _ = read_runs([path], skip_bad=True)
    assert len(run.samples["arc_easy"]) == left and run.samples["arc_easy"].notes


@pytest.mark.parametrize("indent", [2, 4, None])
def test_what_is_cut_off_is_said(indent: int | None, tmp_path: Path) -> None:
    text = json.dumps([line(i) for i in range(10)], indent=indent)
    path = tmp_path / MAY
    third = text.index('"doc_id": 3')
    for end in (third, text.rindex("{", 0, third), text.rindex("}", 0, third) + 1, len(text) - 1):
        path.write_text(text[:end])
        with pytest.raises(InvalidInputError, match=r"cut off|not JSON"):
            read_runs([path])
        (run,), _ = read_runs([path], skip_bad=True)
        assert len(run.samples["arc_easy"]) in (3, 10) and run.samples["arc_easy"].notes
    path.write_text("[]")
    with pytest.raises(InvalidInputError, match="empty"):
        read_runs([path])


def values(rng: random.Random, depth: int = 0) -> Any:
    kinds = [1.5, 'a "b" \\ ] } é\n', None, True, "[{"]
    if depth > 3 or rng.random() < 0.5:
        return rng.choice(kinds)
    if rng.random() < 0.5:
        return [values(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {f"k{i}": values(rng, depth + 1) for i in range(rng.randint(0, 3))}


@pytest.mark.parametrize("block", [1, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_elements(
    block: int, indent: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_list, "BLOCK", block)
    rng = random.Random(block)
    given = [{"doc_id": i, "doc": values(rng)} for i in range(20)]
    path = tmp_path / "list.json"
    text = json.dumps(given, indent=indent, ensure_ascii=False)
    path.write_bytes(text.encode())
    found = list(json_list.elements(path))
    assert [json.loads(text) for _, text in found] == given
    for offset, element in found:
        assert text.encode()[offset : offset + len(element)] == element
