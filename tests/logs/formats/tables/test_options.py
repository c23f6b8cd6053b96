"""Tables with a number for each option: what is read is what was written, whatever the scale and the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables import Columns, read_table
from lm_eval_calibration.predictions import Predictions

LETTERS = "ABCDE"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")
LAW = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def write(path: Path, frame: pd.DataFrame) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    elif path.suffix == ".jsonl":
        rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    """Logits of documents with one to five options each, and which is right."""
    sizes = draw(st.lists(st.integers(1, 5), min_size=1, max_size=8))
    number = st.floats(-30, 30, allow_subnormal=False)
    logits = [draw(st.lists(number, min_size=k, max_size=k)) for k in sizes]
    return logits, [draw(st.integers(0, k - 1)) for k in sizes]


def on_scale(logits: list[list[float]], scale: str) -> list[list[float]]:
    if scale == "logits":
        return logits
    shifted = [np.array(row) - np.max(row) for row in logits]
    normal = [row - np.log(np.exp(row).sum()) for row in shifted]
    return [(np.minimum(r, 0) if scale == "log_probs" else np.exp(r)).tolist() for r in normal]


def table(values: list[list[float]], gold: list[int], **more: Any) -> pd.DataFrame:
    padded = [row + [np.nan] * (5 - len(row)) for row in values]
    frame = pd.DataFrame(padded, columns=[f"score_{c}" for c in LETTERS], dtype=float)
    return frame.assign(gold=[LETTERS[g] for g in gold], **more)


def assert_same(a: Predictions, b: Predictions) -> None:
    assert a.options is not None and b.options is not None and a.golds is not None
    assert b.golds is not None and a.predicted is not None
    np.testing.assert_array_equal(a.options.values, b.options.values)
    np.testing.assert_array_equal(a.options.count, b.options.count)
    np.testing.assert_array_equal(a.golds.values, b.golds.values)
    np.testing.assert_array_equal(a.predicted, b.predicted)
    np.testing.assert_array_equal(a.confidence, b.confidence)


def read(path: Path, **columns: Any) -> Predictions:
    given_ = {"options": "score_{A..E}", "gold": "gold", **columns}
    (run,), left_out = read_table([path], Columns(**given_))
    assert left_out == []
    return run.samples[""].predictions


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("scale", ["logits", "log_probs", "probs"])
@given(drawn=rows())
@LAW
def test_what_was_written_is_read_to_the_bit(
    tmp_path: Path, suffix: str, scale: str, drawn: tuple[list[list[float]], list[int]]
) -> None:
    values = on_scale(drawn[0], scale)
    path = write(tmp_path / f"t{suffix}", table(values, drawn[1]))
    with np.errstate(divide="ignore"):
        logits = [np.log(row) if scale == "probs" else row for row in values]
    assert_same(read(path, scale=scale), Predictions.from_options(logits, drawn[1]))


@given(drawn=rows(), data=st.data())
@LAW
def test_the_order_of_columns_in_the_file_does_not_matter(
    tmp_path: Path, drawn: tuple[list[list[float]], list[int]], data: st.DataObject
) -> None:
    frame = table(*drawn)
    shuffled = frame[data.draw(st.permutations(list(frame.columns)))]
    one, other = write(tmp_path / "a.csv", frame), write(tmp_path / "b.csv", shuffled)
    assert_same(read(one, scale="logits"), read(other, scale="logits"))


@given(drawn=rows())
@LAW
def test_a_dictionary_is_as_columns(
    tmp_path: Path, drawn: tuple[list[list[float]], list[int]]
) -> None:
    logits, gold = drawn
    lines = [
        {"scores": dict(zip(LETTERS, row, strict=False)), "gold": LETTERS[g].lower()}
        for row, g in zip(logits, gold, strict=True)
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = read(write(tmp_path / "t.csv", table(logits, gold)), scale="logits")
    assert_same(read(path, options="scores", scale="logits"), wanted)


def test_dictionaries_in_parquet_lists_and_texts(tmp_path: Path) -> None:
    scores = [{"A": -1.0, "B": -2.0}, {"A": -3.0, "B": -1.0}]
    wanted = Predictions.from_options([[-1, -2], [-3, -1]], [0, 0])
    frames = {
        "struct.parquet": pd.DataFrame({"s": scores, "gold": ["A", "A"]}),
        "list.parquet": pd.DataFrame({"s": [list(s.values()) for s in scores], "gold": [0, 0]}),
        "text.csv": pd.DataFrame({"s": list(map(json.dumps, scores)), "gold": ["a", "A"]}),
    }
    for name, frame in frames.items():
        assert_same(read(write(tmp_path / name, frame), options="s", scale="logits"), wanted)


def test_a_verdict_beside_the_key_is_held_against_it(tmp_path: Path) -> None:
    frame = table([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0]], [0, 1, 0], ok=[1, 0, 0])
    path = write(tmp_path / "t.csv", frame)
    why = "row 3: `ok` says that the answer is wrong, and by the options and `gold` it is not"
    with pytest.raises(InvalidInputError, match=why):
        read(path, correct="ok", scale="logits")
    columns = Columns(options="score_{A..E}", gold="gold", correct="ok", scale="logits")
    (run,), (left_out,) = read_table([path], columns, skip_bad=True)
    assert len(run.samples[""]) == 2 and "1 row left out" in left_out


def test_a_verdict_alone_leaves_confidences(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", table([[2.0, 1.0], [1.0, 3.0]], [0, 0], ok=[1, 0]))
    p = read(path, correct="ok", gold=None, scale="logits")
    assert p.options is None and p.correct.tolist() == [True, False]
    likely = Predictions.from_options([[2.0, 1.0], [1.0, 3.0]], [0, 0])
    np.testing.assert_array_equal(p.confidence, likely.confidence)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize(
    ("cells", "gold", "scale", "message"),
    [
        ([0.5, None, 0.5], "A", None, "row 2: `score_B` is empty, and `score_C` is not"),
        ([None, None, None], "A", None, "row 2: every option is empty"),
        (["high", 0.5, 0.5], "A", None, "row 2: `score_A` must be a number, got `high`"),
        ([0.5, "inf", 0.5], "A", None, "row 2: option B must be finite or -inf, got inf"),
        ([0.5, 0.5, None], "C", "logits", "row 2: `gold` must be one of the row's options A, B, got `C`"),
        ([0.5, 0.5, None], None, "logits", "row 2: `gold` is empty"),
        ([0.5, 1.5, None], "A", "probs", r"row 2: option B must be in \[0, 1\], got 1.5"),
        ([-0.5, 1.5, None], "A", "log_probs", "row 2: option B must be at most 0, got 1.5"),
        ([0.0, 0.0, None], "A", "probs", "row 2: every option has probability 0"),
    ],
)  # fmt: skip
def test_bad_rows_are_named_and_counted(
    tmp_path: Path, suffix: str, cells: list[Any], gold: Any, scale: str | None, message: str
) -> None:
    low = -0.1 if scale == "log_probs" else 0.1
    rest = [low, low, low] if scale else [7.0, 8.0, 9.0]
    frame = pd.DataFrame(
        [rest, cells, rest], columns=["score_A", "score_B", "score_C"], dtype=object
    ).assign(gold=["A", gold, "B"])
    path = write(tmp_path / f"t{suffix}", frame)
    columns = Columns(options="score_{A..C}", gold="gold", scale=scale)
    with pytest.raises(InvalidInputError, match=message):
        read_table([path], columns)
    (run,), (left_out,) = read_table([path], columns, skip_bad=True)
    assert len(run.samples[""]) == 2
    assert "1 row left out, the first of them row 2" in left_out


def test_a_cell_that_is_no_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    for cell in ("-0.5", '"x"', '{"A": "x"}', "{}", "[]", "null", "[true]"):
        path.write_text(f'{{"s": {cell}, "gold": "A"}}\n')
        with pytest.raises(
            InvalidInputError, match="row 1: `s` must hold a number for each option"
        ):
            read(path, options="s")


def test_probabilities_that_do_not_add_up_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", table([[0.2, 0.2], [0.5, 0.4]], [0, 0]))
    (run,), _ = read_table([path], Columns(options="score_{A..E}", gold="gold", scale="probs"))
    assert run.samples[""].predictions.confidence.tolist() == pytest.approx([0.5, 5 / 9])
    assert run.samples[""].notes == (
        "the options' probabilities add up to 0.4 to 0.9, and are divided by their sum",
    )


def test_losses_in_the_place_of_scores_are_said(tmp_path: Path) -> None:
    """Perplexities look like logits; that the smallest one is right tells them."""
    rng = np.random.default_rng(0)
    losses = rng.uniform(2, 90, size=(80, 4))
    path = write(tmp_path / "t.csv", table(losses.tolist(), losses.argmin(axis=1).tolist()))
    (run,), _ = read_table([path], Columns(options="score_{A..E}", gold="gold"))
    assert (
        "the smallest number is right in 100% of rows and the largest in 0%"
        in run.samples[""].notes[1]
    )
    other = write(tmp_path / "u.csv", table((-losses).tolist(), losses.argmin(axis=1).tolist()))
    (run,), _ = read_table([other], Columns(options="score_{A..E}", gold="gold", scale="logits"))
    assert run.samples[""].notes == ()
