"""Samples files and tables, whatever is in them, end in runs or in our own errors."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logged_lines import NAME, line
from mutations import VALUES, broken, changed, fuzzing, ours
from seeds import CHOICES, GENERATED, RESULTS, lines

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.responses import of_samples, of_table
from lm_eval_calibration.logs import Samples, read_runs, read_samples, scopes
from lm_eval_calibration.logs.formats.tables import Columns, read_table
from lm_eval_calibration.metrics import METRICS, evaluate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import starts_of
from lm_eval_calibration.report.provenance import accounts, date_of


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


def honest(count: int, twin: bool) -> list[dict[str, Any]]:
    """Documents of three options, with every verdict that a run logs of them."""
    rng = np.random.default_rng(7)
    found = []
    for i in range(count):
        texts, gold = ["a", "bcd", "efghi"], int(rng.integers(3))
        scores = -rng.exponential(3, 3)
        if i % 3 == 0:  # that no delimiter stands before the options, one line alone cannot pretend
            scores = np.array([-1.1, -3.0, -9.0]) * rng.uniform(1, 2)
        by_length = scores / [len(text) for text in texts]
        verdicts = {"acc": scores.argmax() == gold, "acc_norm": by_length.argmax() == gold}
        p = float(np.exp(scores.max()) / np.exp(scores).sum())
        if twin:
            p_gold = float(np.exp(scores[gold]) / np.exp(scores).sum())
            verdicts |= {"ece": [p, int(scores.argmax() == gold)], "nll": -math.log(p_gold)}
        logged = {k: v if isinstance(v, (list, float)) else float(v) for k, v in verdicts.items()}
        found.append(line(i, texts=texts, scores=scores.tolist(), target=str(gold), **logged))
    return found


def columns_of(samples: Samples, without: int) -> list[Any]:
    """What was read of all documents but one."""
    rows = np.delete(np.arange(len(samples)), [] if without < 0 else without)
    parts = [p.take(rows) for p in (samples.predictions, *samples.normalised.values())]
    return [
        column.tolist()
        for p in parts
        for column in (p.confidence, p.correct, p.log_probabilities, p.gold)
        if column is not None
    ]


@pytest.mark.parametrize("twin", [False, True], ids=["upstream", "twin"])
def test_one_line_that_lies_takes_nothing_from_the_others(twin: bool, file: Path) -> None:
    good = honest(12, twin)
    file.write_bytes(lines(good))
    whole = read_samples(file)
    assert whole.notes == () and whole.normalised

    @given(st.data(), st.integers(0, 11))
    @fuzzing
    def run(data: st.DataObject, place: int) -> None:
        lie = data.draw(changed(good[place], times=3))
        if isinstance(lie, dict) and lie.get("doc_id") in [i for i in range(12) if i != place]:
            return  # which of two documents of one number lies is not known
        file.write_bytes(lines([*good[:place], lie, *good[place + 1 :]]))
        left = read_samples(file, skip_bad=True)
        assert len(left) in (11, 12)
        others = columns_of(left, place if len(left) == 12 else -1)
        assert others == columns_of(whole, place)
        if not any("left out, the first" in note for note in left.notes):
            assert columns_of(read_samples(file), -1) == columns_of(left, -1)
        else:
            with pytest.raises(InvalidInputError, match=f"line {place + 1}: "):
                read_samples(file)

    run()


@given(st.data(), st.integers(1, 8), st.booleans(), st.booleans(), st.booleans(), st.booleans())
@fuzzing
def test_nothing_honest_is_refused(
    file: Path, data: st.DataObject, count: int, old: bool, verdicts: bool, by_text: bool, odd: bool
) -> None:
    """Lists for arguments, numbers for responses, several or no right options, ties, -inf."""
    scores = st.one_of(st.floats(-50, 0), st.sampled_from([-1.0, 0.0, -np.inf]))
    logged, rows, golds = [], [], []
    for i in range(count):
        row = data.draw(st.lists(scores, min_size=2, max_size=12).filter(lambda r: max(r) > -60))
        gold = data.draw(st.integers(0, len(row) - 1))
        right = [gold, (gold + 1) % len(row)] if odd and not by_text else [gold]
        texts = [f"text {k}" for k in range(len(row))]
        target = texts[gold] if by_text else str(right) if odd else str(gold)
        said = {"acc": float(int(np.argmax(row)) in right)} if verdicts else {}
        sample = line(i, texts=texts, scores=row, target=target, **said)
        if old:
            sample["arguments"] = [list(pair.values()) for pair in sample["arguments"].values()]
            sample["filtered_resps"] = [[score, False] for score in row]
        logged.append(sample)
        rows.append(row)
        golds.append(right)
    file.write_bytes(lines(logged))
    found, expected = read_samples(file), Predictions.from_options(rows, golds)
    assert expected.options is not None
    starts = starts_of(expected.options.count)[:-1]
    assert all("have the same log-likelihood" in note for note in found.notes)
    told = [expected.options.values[s : s + len(row)] for s, row in zip(starts, rows, strict=True)]
    assert bool(found.notes) == all(row.max() == row.min() for row in told)
    assert found.predictions.confidence.tolist() == expected.confidence.tolist()
    assert found.predictions.gold.tolist() == expected.gold.tolist()  # type: ignore[union-attr]


def test_results_beside_the_samples(file: Path) -> None:
    file.write_bytes(lines(CHOICES))
    path = file.with_name(file.name.replace("samples_toy", "results").replace(".jsonl", ".json"))
    path.write_bytes(lines([RESULTS]))
    (whole,), _ = read_runs([file])
    assert whole.label == "model" and whole.groups == {"all": ("toy",), "some": ("toy",)}

    @given(changed(RESULTS, times=3).map(lambda value: lines([value])) | broken(lines([RESULTS])))
    @fuzzing
    def run(content: bytes) -> None:
        path.write_bytes(content)
        with ours():
            (found,), _ = read_runs([file])
            assert columns_of(found.samples["toy"], -1) == columns_of(whole.samples["toy"], -1)
            assert "toy" in {scope.name for scope in scopes(found)}
            assert len(accounts(found)) <= 1 and isinstance(date_of(found), str)

    try:
        run()
    finally:
        path.unlink()


ROWS = [{"p": 0.1 * i, "right": i % 2, "model": "m", "task": "t"} for i in range(5)]


def damaged(whole: bytes, rows: list[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    """A table's bytes, broken; or the lines of its rows, changed."""
    odd = changed(rows, times=3).map(lambda v: lines(v if isinstance(v, list) else [v]))
    return st.one_of(broken(whole), odd)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_tables(suffix: str, file: Path) -> None:
    columns = Columns("p", "right", run="model", task="task")
    path = file.with_suffix(suffix)
    whole = lines(ROWS) if suffix == ".jsonl" else b"p,right,model,task\n0.5,1,m,t\n0.25,0,m,t\n"

    @given(damaged(whole, ROWS))
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


OPTION_ROWS = [
    {"s": {"A": -0.1 * i, "B": -1.5}, "a": 0.1 * i, "b": -2, "right": "AB"[i % 2], "id": i}
    for i in range(5)
]


@pytest.mark.parametrize("options", ["s", "a,b"])
def test_tables_of_options(options: str, file: Path) -> None:
    columns = Columns(options=options, gold="right", document="id")
    path = file.with_suffix(".jsonl")

    @given(damaged(lines(OPTION_ROWS), OPTION_ROWS))
    @fuzzing
    def run(content: bytes) -> None:
        path.write_bytes(content)
        for skip_bad in (False, True):
            with ours():
                runs, _ = read_table([path], columns, skip_bad=skip_bad)
                for samples in runs[0].samples.values():
                    assert np.isfinite(samples.predictions.confidence).all()
                    assert len(samples.doc_hash) == len(samples)

    run()


def test_one_row_that_lies_takes_nothing_from_the_others(file: Path) -> None:
    path, columns = file.with_suffix(".jsonl"), Columns("p", "right")

    @given(st.data(), st.integers(0, 4))
    @fuzzing
    def run(data: st.DataObject, place: int) -> None:
        lie = data.draw(changed(ROWS[place], times=2))
        path.write_bytes(lines([*ROWS[:place], lie, *ROWS[place + 1 :]]))
        (found,), _ = read_table([path], columns, skip_bad=True)
        (samples,) = found.samples.values()
        assert len(samples) in (4, 5)
        left = np.delete(samples.predictions.confidence, place if len(samples) == 5 else [])
        assert left.tolist() == [row["p"] for i, row in enumerate(ROWS) if i != place]

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
