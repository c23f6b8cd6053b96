"""Readings of logs without a results file that are seldom, and as good as others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from logged_lines import line

from lm_eval_calibration.logs import read_samples

Write = Callable[..., Path]


def asked(delimiter: str, texts: list[str]) -> list[list[str]]:
    return [["question", delimiter + text] for text in texts]


def test_texts_behind_a_delimiter_that_ends_in_a_mark(write: Write) -> None:
    lines = [
        line(i, arguments=asked(": ", texts), scores=[-2.0, -1.0], target=texts[1], acc=1.0)
        for i, texts in enumerate([["no", " A"], ["yes", " 1"], ["Paris", "B"]])
    ]
    assert read_samples(write(lines)).predictions.gold.tolist() == [[False, True]] * 3


def test_templates_whose_texts_are_now_and_then_numbers(write: Write) -> None:
    """The harness takes what a template gives for an index, where it is one."""
    texts = [["no", "so"], ["1", "2"], ["a", "b"]]
    lines = [
        line(i, texts=t, scores=[-2.0, -1.0], target=target, acc=1.0)
        for i, (t, target) in enumerate(zip(texts, ["so", "1", "b"], strict=True))
    ]
    assert read_samples(write(lines)).predictions.gold.tolist() == [[False, True]] * 3


def test_options_asked_for_twice_without_a_prompt(write: Write) -> None:
    """`acc_mutual_info` asks so; four options of which two are alike are four options otherwise."""
    arguments = [["", f" {text}"] for text in ("a", "b", "a", "b")]
    scores = [-1.0, -2.0, -3.0, -4.0]
    plain = line(0, arguments=arguments, scores=scores)
    assert read_samples(write([plain])).predictions.num_options.tolist() == [4]
    twice = line(0, arguments=arguments, scores=scores, acc_mutual_info=1.0)
    assert read_samples(write([twice])).predictions.num_options.tolist() == [2]
