"""Samples files read back: the live run's numbers, whatever the task; and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logged_lines import LIVE, line

from lm_eval_calibration import evaluate, load_samples
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs, read_samples
from lm_eval_calibration.logs.formats.harness import chunk, samples_file
from lm_eval_calibration.predictions import Predictions

Write = Callable[..., Path]
COLUMNS = ("confidence", "correct", "predicted", "log_probabilities", "gold", "num_options")


def same(a: Predictions, b: Predictions) -> bool:
    """Equal to the last bit, column by column."""
    return all(np.array_equal(getattr(a, c), getattr(b, c)) for c in COLUMNS)


def file_of(folder: Path, task: str) -> Path:
    (path,) = folder.rglob(f"samples_{task}_2*.jsonl")
    return path


@pytest.mark.parametrize("task", [f"calib_{name}" for name in LIVE])
def test_a_run_read_back_gives_every_figure_it_printed(
    run_folder: Path, printed: dict[str, Any], task: str
) -> None:
    """Values and standard errors, to the last digit: ours and the harness's `acc`."""
    live = printed["results"][task]
    path = file_of(run_folder, task)
    compared = 0
    for key in live:
        name, _, filter_name = key.partition(",")
        stem = name.removesuffix("_norm")
        if filter_name != "none" or "stderr" in name or stem == "acc_mutual_info":
            continue
        predictions = load_samples(path, normalised=name != stem)
        found = evaluate(predictions, [stem])[stem]
        assert found.value == live[key] or math.isnan(live[key]), name
        error = live[f"{name}_stderr,none"]
        assert found.stderr == error or error == "N/A", name
        compared += 1
    assert compared >= 9


@pytest.mark.parametrize("task", LIVE)
def test_upstream_runs_hold_the_same_predictions_as_their_twins(
    run_folder: Path, task: str
) -> None:
    plain = read_samples(file_of(run_folder, task))
    twin = read_samples(file_of(run_folder, f"calib_{task}"))
    assert same(plain.predictions, twin.predictions)
    assert plain.doc_hash.tolist() == twin.doc_hash.tolist()
    assert plain.normalised.keys() == twin.normalised.keys()
    for suffix, normalised in plain.normalised.items():
        assert same(normalised, twin.normalised[suffix])


def test_options_in_the_context_leave_only_the_verdict(run_folder: Path, tmp_path: Path) -> None:
    """As of Winogrande, but with more than two options: a wrong answer hides the right one.

    The results file beside the log would tell.
    """
    logged = file_of(run_folder, "toy_inputs")
    samples = read_samples(shutil.copy(logged, tmp_path))
    assert samples.predictions.log_probabilities is None
    assert "does not say which option is right" in samples.notes[0]


def test_two_options_in_the_context_are_known_by_elimination(write: Write) -> None:
    contexts = {
        f"gen_args_{i}": {"arg_0": f"He gave {who}", "arg_1": " a book."}
        for i, who in enumerate(("Ann", "Bob"))
    }
    path = write(
        [
            line(0, arguments=contexts, target="a book.", acc=1.0),
            line(1, arguments=contexts, target="a book.", acc=0.0),
        ]
    )
    assert load_samples(path).gold.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize(
    ("target", "texts", "acc", "gold"),
    [
        ("1", ["1", "2"], 0.0, [1]),  # an index: read as a text, it would be right
        ("1", ["1", "2"], 1.0, [0]),  # a text
        ("2", ["1", "2"], 0.0, [1]),  # a text: as an index it would be none
        ("no", ["yes", "no"], 0.0, [1]),
        ("[0, 1]", ["yes", "no"], 1.0, [0, 1]),
        ("[1]", ["yes", "no"], 0.0, [1]),
        ("-100", ["yes", "no"], 0.0, []),
        ("True", ["no", "yes"], 0.0, [1]),
        ("1.0", ["no", "yes"], 0.0, [1]),
        (1, ["no", "yes"], 0.0, [1]),
    ],
)
def test_answer_keys(write: Write, target: Any, texts: list[str], acc: float, gold: Any) -> None:
    path = write([line(0, target=target, texts=texts, acc=acc)])
    assert np.flatnonzero(load_samples(path).gold[0]).tolist() == gold


def test_the_verdicts_decide_between_a_number_and_a_text(write: Write) -> None:
    """Options that are numbers: only the logged `acc` tells an index from an option."""
    texts, scores = ["0", "1", "2"], [-1.0, -2.0, -3.0]
    lines = [line(i, target="1", texts=texts[::-1], scores=scores, acc=0.0) for i in range(3)]
    by_index = [*lines, line(3, target="2", texts=texts[::-1], scores=scores[::-1], acc=1.0)]
    by_text = [*lines, line(3, target="0", texts=texts[::-1], scores=scores[::-1], acc=1.0)]
    assert load_samples(write(by_index)).gold[3].tolist() == [False, False, True]
    assert load_samples(write(by_text)).gold[3].tolist() == [False, False, True]


def test_the_delimiter_is_found_by_the_verdicts(write: Write) -> None:
    """`acc_norm` divides by the option's length, which the log holds with the delimiter before."""
    cases = {" ": ["abc", "abcdefgh"], "": [" abc", " abcdefgh"]}
    scores = [
        -4.0,
        -10.0,
    ]  # a third and an eighth prefer the second, a fourth and a ninth the first
    for delimiter, texts in cases.items():
        arguments = [["q", f"{delimiter}{text}"] for text in texts]
        lengths = [len(text) for text in texts]
        norm = [score / length for score, length in zip(scores, lengths, strict=True)]
        right = float(norm.index(max(norm)) == 0)
        path = write([line(0, arguments=arguments, scores=scores, acc=1.0, acc_norm=right)])
        found = load_samples(path, normalised=True)
        assert found.confidence[0] == Predictions.from_options([norm], [0]).confidence[0]


def test_formats_of_older_harnesses(write: Write) -> None:
    """Lists for arguments, numbers for responses, no document hash, no filter."""
    sample = line(
        0,
        arguments=[["question", " yes"], ["question", " no"]],
        filtered_resps=[[-1.0, False], [-2.0, False]],
        doc_hash=None,
        filter=None,
    )
    samples = read_samples(write([sample]))
    assert samples.predictions.confidence[0] == pytest.approx(1 / (1 + math.exp(-1)))
    assert samples.doc_hash[0] != 0


def test_a_pair_is_enough_where_no_options_were_logged(write: Write) -> None:
    """As of a twin that scores generated answers."""
    lines = [line(i, filtered_resps=["so it is"], ece=[0.25 * i, i % 2]) for i in range(4)]
    samples = read_samples(write(lines))
    assert samples.predictions.confidence.tolist() == [0.0, 0.25, 0.5, 0.75]
    assert samples.predictions.correct.tolist() == [False, True, False, True]
    assert samples.normalised == {}


GOOD = [line(0), line(1), line(2)]
BAD = {
    "cut off": ([*GOOD, json.dumps(line(3))[:40]], 4, "the line is cut off"),
    "not JSON": ([GOOD[0], "{oops\n", *GOOD[1:]], 2, "not JSON"),
    "no object": ([*GOOD, "17\n"], 4, "a JSON int, not a logged document"),
    "a field": ([*GOOD, line(3, target=None)], 4, "no field `target`"),
    "no arguments": ([*GOOD, line(3, arguments=None)], 4, "no field `arguments`"),
    "odd arguments": ([*GOOD, line(3, arguments=["a", "b"])], 4, "no (context, continuation)"),
    "doc_id": ([*GOOD, line(3, doc_id="x")], 4, "`doc_id` must be a whole number, got 'x'"),
    "too few": ([*GOOD, line(3, scores=[-1.0])], 4, "1 responses to 2 requests"),
    "NaN": ([*GOOD, line(3, scores=[-1.0, math.nan])], 4, "option 1 (from 0) is nan"),
    "infinity": ([*GOOD, line(3, scores=[math.inf, -1.0])], 4, "option 0 (from 0) is inf"),
    "all dead": ([*GOOD, line(3, scores=[-math.inf] * 2)], 4, "all options have log-likelihood"),
    "generation": ([*GOOD, line(3, filtered_resps=["so"])], 4, "no multiple-choice document"),
    "a number": ([*GOOD, line(3, filtered_resps=["18", "42"])], 4, "no multiple-choice document"),
    "no key": ([*GOOD, line(3, target="maybe")], 4, "target 'maybe' is no option's number"),
    "verdict": ([*GOOD, line(3, acc=0.0)], 4, "`acc` = 0, but option 0 (from 0), the most likely"),
    "twice": ([*GOOD, line(1)], 4, "document 1 (`doc_id`) stands in line 2 already"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_lines_are_named_or_left_out_and_counted(write: Write, case: str) -> None:
    lines, number, message = BAD[case]
    path = write(lines)
    with pytest.raises(InvalidInputError) as caught:
        read_samples(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, line {number}: ")
    assert message in text
    assert "--skip-bad" in text
    samples = read_samples(path, skip_bad=True)
    assert len(samples) == 3
    assert samples.notes[0].startswith(f"1 line left out, the first of them line {number}: ")


def test_several_bad_lines_are_counted(write: Write) -> None:
    path = write([line(0), "oops\n", line(1), line(0), line(2)])
    with pytest.raises(InvalidInputError, match=r"line 2: not JSON.* 1 more line cannot be read"):
        read_samples(path)
    samples = read_samples(path, skip_bad=True)
    assert samples.notes[0].startswith("2 lines left out, the first of them line 2")
    assert len(samples) == 3


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is empty: the run logged no documents"),
        (["\n", " \n"], "is empty: the run logged no documents"),
        (["\n", "oops\n"], "line 2: not JSON"),
        (["[{}]\n"], "line 1: a JSON list among lines"),
        ([line(0, filtered_resps=["text"])], "line 1: the responses .* no multiple-choice"),
        ([line(0, texts=["x"], scores=[-1.0])], "a single option, as in tasks of `output_type`"),
    ],
)
def test_files_of_other_kinds(write: Write, lines: list[Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        load_samples(write(lines))


def test_nothing_left_is_an_error_even_when_bad_lines_are_skipped(write: Write) -> None:
    sound = [{**line(0), "filtered_resps": [["nan", "False"]] * 2}] * 2
    with pytest.raises(InvalidInputError, match=r"line 1: .* option 0 \(from 0\) is nan"):
        read_samples(write(sound), skip_bad=True)


def test_no_file_and_no_acc_norm(write: Write, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is no file"):
        load_samples(tmp_path / "gone.jsonl")
    with pytest.raises(InvalidInputError, match="logs no `acc_norm`"):
        load_samples(write(GOOD), normalised=True)


def test_blank_lines_are_no_documents(write: Write) -> None:
    path = write([line(0), "\n", "   \n", line(1), "\n"])
    assert len(load_samples(path)) == 2


def test_a_last_line_without_a_newline_counts_if_it_is_whole(write: Write) -> None:
    assert len(load_samples(write([line(0), json.dumps(line(1))]))) == 2


few = settings(
    derandomize=True,
    deadline=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@given(size=st.integers(1, 4000), blank=st.sets(st.integers(0, 11)), bad=st.integers(0, 11))
@few
def test_ranges_of_any_size_read_the_same(
    write: Write, size: int, blank: set[int], bad: int
) -> None:
    lines: list[Any] = [line(i, texts=["ü" * i, "no"]) for i in range(12)]
    for i in blank:
        lines[i] = "\n"
    lines[bad] = "oops\n"
    path = write(lines)
    if len(blank | {bad}) == 12:
        return
    whole = read_samples(path, skip_bad=True)
    original = chunk.CHUNK_BYTES
    try:
        chunk.CHUNK_BYTES = size
        parts = read_samples(path, skip_bad=True)
    finally:
        chunk.CHUNK_BYTES = original
    assert same(whole.predictions, parts.predictions)
    assert whole.notes == parts.notes
    assert f"line {bad + 1}: " in parts.notes[0]
    assert whole.offset.tolist() == parts.offset.tolist()
    data = path.read_bytes()
    for offset, hash_ in zip(parts.offset, parts.doc_hash, strict=True):
        assert json.loads(data[offset:].split(b"\n", 1)[0])["doc_id"] == hash_ or hash_ == 0


def test_processes_read_the_same(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write([line(i) for i in range(200)])
    alone = read_samples(path)
    monkeypatch.setattr(chunk, "CHUNK_BYTES", 9_000)
    monkeypatch.setattr(samples_file, "LARGE_BYTES", 1)
    seen: list[int] = []
    together = read_samples(path, processes=2, progress=seen.append)
    assert same(alone.predictions, together.predictions)
    assert sum(seen) == path.stat().st_size
    assert len(seen) > 3


def test_messages_of_a_chat_api(write: Any) -> None:
    """An API's class keeps a context as a list of one JSON text."""
    said = [json.dumps([{"role": "user", "content": "Which?"}])]
    arguments = {f"gen_args_{k}": {"arg_0": said, "arg_1": o} for k, o in enumerate(["yes", "no"])}
    path = write([line(i, arguments=arguments) for i in range(3)])
    (run,), _ = read_runs([path])
    (samples,) = run.samples.values()
    assert len(samples) == 3
    assert read_documents(samples, [0])[0].prompt == "[user] Which?"
