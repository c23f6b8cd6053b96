"""Lines that contradict themselves: named, left out, and never the reason to read others otherwise."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_lines import line

from lm_eval_calibration.analysis.pools import read_pools
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.responses import of_samples
from lm_eval_calibration.logs import read_samples
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, shown
from lm_eval_calibration.logs.formats.harness.line import doc_hash, target_indices

Write = Callable[..., Path]


def documents(count: int = 30, twin: bool = False) -> list[dict[str, Any]]:
    """Four options, right as often as chance has it; a twin's say what was believed, too."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(count):
        scores = -np.abs(rng.normal(0, 2, 4)) - 0.1
        gold = int(rng.integers(4))
        right = int(scores.argmax() == gold)
        p = np.exp(scores) / np.exp(scores).sum()
        said = {"ece": [float(p.max()), right], "nll": float(-np.log(p[gold]))} if twin else {}
        texts = [f"option {k}" for k in range(4)]
        found.append(
            line(i, texts=texts, scores=scores.tolist(), target=str(gold), acc=float(right), **said)
        )
    return found


def lies(sample: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By what the message says of it: a line in which one thing was changed."""
    others = sample["filtered_resps"][1:]

    def scored(value: Any) -> dict[str, Any]:
        return {**sample, "filtered_resps": [[value, "False"], *others]}

    return {
        f"`acc` = {1 - int(sample['acc'])}, but option": {**sample, "acc": 1 - sample["acc"]},
        "the target None is no option's number": {**sample, "target": None},
        "is 'abc', no number": scored("abc"),
        "is None, no number": scored(None),
        "is '', no number": scored(""),
        "is True, no number": scored(True),
        "is nan; look": scored("nan"),
        "is 3.5; no logarithm of a probability is above 0": scored("3.5"),
        "0 responses to 4 requests": {**sample, "filtered_resps": []},
        "the responses None are no": {**sample, "filtered_resps": None},
        "`filter` must be a name, got 5": {**sample, "filter": 5},
        "`doc_hash` must be hexadecimal": {**sample, "doc_hash": "-fffffffffffffff"},
    }


@pytest.mark.parametrize("twin", [False, True], ids=["upstream", "twin"])
@pytest.mark.parametrize("place", [0, 7])
def test_one_line_is_named_and_changes_nothing_else(write: Write, twin: bool, place: int) -> None:
    honest = documents(twin=twin)
    without = read_samples(write(honest[:place] + honest[place + 1 :])).predictions
    for message, lie in lies(honest[place]).items():
        path = write([*honest[:place], lie, *honest[place + 1 :]])
        with pytest.raises(InvalidInputError) as caught:
            read_samples(path)
        assert str(caught.value).startswith(f"{path}, line {place + 1}: ")
        assert message in str(caught.value)
        samples = read_samples(path, skip_bad=True)
        assert samples.notes[0].startswith(f"1 line left out, the first of them line {place + 1}")
        for name in ("confidence", "correct", "log_probabilities", "gold"):
            left = getattr(samples.predictions, name)
            assert left is not None and np.array_equal(left, getattr(without, name)), (
                message,
                name,
            )


@pytest.mark.parametrize("twin", [False, True], ids=["upstream", "twin"])
@pytest.mark.parametrize("count", [2, 4])
def test_few_lines_lie_but_many_speak_against_the_reading(
    write: Write, twin: bool, count: int
) -> None:
    changed = documents(twin=twin)
    for sample in changed[:count]:
        sample["acc"] = 1 - sample["acc"]
    with pytest.raises(InvalidInputError, match=rf"{30 - count} of the first 30 lines agree"):
        read_samples(write(changed))
    assert len(read_samples(write(changed), skip_bad=True)) == 30 - count


def test_a_task_that_scores_in_its_own_way_is_read_by_its_verdicts(write: Write) -> None:
    changed = documents()
    for sample in changed[::2]:
        sample["acc"] = 1 - sample["acc"]
    samples = read_samples(write(changed))
    assert samples.predictions.correct.tolist() == [sample["acc"] == 1 for sample in changed]
    assert "the verdicts contradict the answer key in 15 of the first 30 lines" in samples.notes[0]


def test_an_answer_key_that_counts_from_one_is_no_lie(write: Write) -> None:
    """At an accuracy of one in ten most wrong answers agree with a wrong reading."""
    found = documents(200)
    kept = [s for s in found if s["acc"] == 0] + [s for s in found if s["acc"] == 1][:18]
    for sample in kept:
        sample["target"] = str(int(sample["target"]) + 1)
    samples = read_samples(write(kept))
    assert samples.predictions.correct.sum() == 18
    assert "so the verdicts are read" in samples.notes[0]


def test_log_likelihoods_may_round_to_a_little_above_0(write: Write) -> None:
    path = write([line(i, scores=[1e-6, -2.0]) for i in range(3)])
    assert len(read_samples(path)) == 3


def test_verdicts_of_a_tie_are_no_contradiction(write: Write) -> None:
    lines = [line(i, scores=[-1.0, -1.0 - 1e-12], target="1", acc=1.0) for i in range(3)]
    assert read_samples(write(lines)).notes == ()


def test_an_acc_norm_that_nothing_explains_is_said(write: Write) -> None:
    lines = [line(i, acc=1.0, acc_norm=float(i % 2)) for i in range(10)]
    samples = read_samples(write(lines))
    assert samples.normalised == {}
    assert "`acc_norm` does not follow from the log-likelihoods" in samples.notes[0]


def test_the_first_line_does_not_choose_the_filter_for_all(write: Write) -> None:
    lines = [line(0, filter="odd"), *(line(i) for i in range(1, 9))]
    samples = read_samples(write(lines))
    assert len(samples) == 8
    assert samples.notes == (
        "read are the lines of filter none, not those of odd (1); --filter chooses",
    )


@pytest.mark.parametrize("pair", [[7, 1], [math.nan, 1], [True, 1], ["0.5", 1], [0.5, "x"]])
def test_pairs_that_are_none(write: Write, pair: Any) -> None:
    asked = {"gen_args_0": {"arg_0": "question", "arg_1": {"until": ["."]}}}
    lines = [
        line(i, arguments=asked, filtered_resps=["so"], ece=[0.25 * i, i % 2]) for i in range(4)
    ]
    assert len(read_samples(write(lines))) == 4
    path = write([*lines, line(4, arguments=asked, filtered_resps=["so"], ece=pair)])
    with pytest.raises(InvalidInputError, match="line 5: `ece` must hold a"):
        read_samples(path)
    assert len(read_samples(path, skip_bad=True)) == 4


def generated(number: int, **changes: Any) -> dict[str, Any]:
    pool = {
        "candidates": ["a", "b"], "filtered": ["a", "b"], "scores": [1.0, 0.0],
        "picks": [0], "beliefs": [], "orders": [[0, 1]],
    }  # fmt: skip
    return line(number, filtered_resps=["a"], exact_match=1.0, **{"envelopes": pool, **changes})


@pytest.mark.parametrize("bad", ["oops\n", generated(9, envelopes={"scores": [1.0]})])
def test_every_reader_skips_blank_lines_and_names_bad_ones(write: Write, bad: Any) -> None:
    good = [generated(i) for i in range(3)]
    path = write([good[0], "\n", "  \n", *good[1:], "\n"])
    (pools,), _ = read_pools([path])
    assert len(pools.pools) == 3
    assert len(of_samples([str(path)], "exact_match", "sentences").responses) == 6
    path = write([good[0], "\n", bad, *good[1:]])
    with pytest.raises(InvalidInputError, match=r"line 3: .*--skip-bad"):
        read_pools([path])
    (pools,), _ = read_pools([path], skip_bad=True)
    assert len(pools.pools) == 3 and "1 line left out" in pools.notes[0]
    with pytest.raises(InvalidInputError, match=r"line 3: .*--skip-bad"):
        of_samples([str(path)], "exact_match", "sentences")
    found = of_samples([str(path)], "exact_match", "sentences", skip_bad=True)
    assert len(found.responses) == 6 and "1 line left out" in found.notes[0]


@pytest.mark.parametrize(
    "target", ["-" * 100_000 + "1", "[" * 100_000, "9" * 5000, "[1, x]", "[[0]]"]
)
def test_targets_that_name_nothing(target: str) -> None:
    assert target_indices(target) is None


def test_hashes_of_documents_that_no_encoding_holds() -> None:
    assert doc_hash({"doc": {"q": "\ud800"}}) >= 0
    with pytest.raises(BadLineError):
        doc_hash({"doc": json.loads("[" * 900 + "]" * 900)} | {"doc_hash": "x" * 16})


def test_messages_stay_lines_whatever_is_shown() -> None:
    for value in (
        "x\n" * 10_000,
        "\ud800",
        [[[[[["x" * 999] * 99] * 99] * 9]]],
        {1: "\x1b[2J" * 99},
    ):
        text = shown(value)
        assert len(text) <= 120 and text.isprintable()
