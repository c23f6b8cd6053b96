"""What a results file tells of a task's requests, and what is withheld where nothing does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from logged_lines import NAME, line

from lm_eval_calibration import load_samples
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.logs import read_samples
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.told import ToldByLog, told_of

Write = Callable[..., Path]
OPTIONS = [" A", " B", " C"]


def results(config: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"configs": {"toy": config}, "model_source": "hf", "n-shot": {"toy": 0}, **more}


@pytest.mark.parametrize(
    ("config", "more", "delimiters"),
    [
        ({"target_delimiter": "\n"}, {}, ("\n",)),
        ({"output_type": "multiple_choice"}, {}, (" ",)),
        ({"target_delimiter": " "}, {"chat_template": "{{ turns }}"}, ("",)),
        (
            {"target_delimiter": " "},
            {"chat_template": ""},
            ("",),
        ),  # (of a server that keeps its own)
        ({"target_delimiter": " ", "gen_prefix": "So:"}, {"chat_template": "x"}, (" ",)),
        ({"target_delimiter": " ", "gen_prefix": "So: "}, {"chat_template": "x"}, ("",)),
        ({"target_delimiter": " "}, {"model_source": None}, (" ", "")),
        ({"target_delimiter": 5}, {}, ()),
        ({}, {}, ()),
    ],
)
def test_delimiters(
    config: dict[str, Any], more: dict[str, Any], delimiters: tuple[str, ...]
) -> None:
    assert told_of(results(config, **more), "toy").delimiters == delimiters


def test_our_own_record_of_the_prompts_goes_first() -> None:
    for template, delimiters in (("", (" ",)), ("abc", ("",))):
        record = {"prompts": [{"tasks": ["toy"], "chat_template": template}]}
        found = results({"target_delimiter": " "}, lm_eval_calibration=record, chat_template="x")
        assert told_of(found, "toy").delimiters == delimiters
        found["configs"]["calib_toy"] = found["configs"]["toy"]
        assert told_of(found, "calib_toy").delimiters == delimiters


@pytest.mark.parametrize(
    ("given", "doc", "target", "gold"),
    [
        ("key", {"key": 1}, "1", [1]),
        ("key", {"key": "1"}, "1", [0]),  # a text, though it reads like a number
        ("{{key}}", {"key": "1"}, "1", [1]),  # what a template gives is a number
        ("{{key}}", {}, "[0, 2]", [0, 2]),
        ("key", {"key": [2, 9]}, "[2, 9]", [2]),
        (1, {}, "1", [1]),
        ([0, 1], {}, "[0, 1]", [0, 1]),
    ],
)
def test_answer_keys(given: Any, doc: dict[str, Any], target: str, gold: list[int]) -> None:
    told = told_of(results({"doc_to_target": given}), "toy")
    assert told.gold_of({"doc": doc, "target": target}, ["1", "2", "3"], False) == gold


@pytest.mark.parametrize(
    "source", ["def key(doc):\n    return 1\n", "doc_to_target=lambda doc: 1,", "<x>"]
)
def test_functions_tell_nothing(source: str) -> None:
    told = told_of(results({"doc_to_target": source}), "toy")
    with pytest.raises(BadLineError, match="is not told"):
        told.gold_of({"doc": {}, "target": "1"}, ["1", "2"], False)


@pytest.mark.parametrize(
    "found", [{}, {"configs": []}, {"configs": {"toy": 5}}, {"configs": {"x": {}}}]
)
def test_files_that_tell_nothing(found: dict[str, Any]) -> None:
    assert told_of(found, "toy") == ToldByLog()


def logged(twin: bool) -> list[dict[str, Any]]:
    """Options that begin with a space of their own; `acc_norm` is the same with and without it."""
    lines = []
    for i in range(6):
        scores = [-1.0 - i, -2.5, -9.0]
        said = {"ece_norm": [0.0, 1]} if twin else {}
        texts = [text.removeprefix(" ") for text in OPTIONS]
        best = scores.index(max(scores))
        right = float(best == 0)
        lines.append(line(i, texts=texts, scores=scores, acc=right, acc_norm=right, **said))
    return lines


def beside(path: Path, config: dict[str, Any]) -> None:
    name = NAME.replace("samples_toy", "results").replace("jsonl", "json")
    path.with_name(name).write_text(json.dumps(results(config)))


def test_lengths_are_those_that_the_results_file_tells(write: Write) -> None:
    """Case W5: one character an option, or two."""
    path = write(logged(False))
    for delimiter, length in ((" ", 1), ("", 2)):
        beside(path, {"target_delimiter": delimiter})
        found = load_samples(path, normalised=True)
        assert found.log_probabilities is not None
        gaps = found.log_probabilities[0, 0] - found.log_probabilities[0, 1]
        assert gaps == pytest.approx(1.5 / length)


def test_lengths_that_nothing_tells_are_withheld(write: Write) -> None:
    path = write(logged(False))
    samples = read_samples(path)
    assert samples.normalised == {}
    (note,) = samples.notes
    assert "no results file beside it tells" in note and "(`_norm`) are withheld" in note
    with pytest.raises(InvalidInputError, match=r"`acc_norm` that can be followed .*withheld"):
        load_samples(path, normalised=True)
    with pytest.raises(UnknownNameError, match="Unknown normalisation `_words`"):
        load_samples(path, normalised="_words")


def test_a_delimiter_that_the_options_do_not_begin_with_is_not_believed(write: Write) -> None:
    path = write(logged(False))
    beside(path, {"target_delimiter": "\n\n"})
    assert "its results file does not tell" in read_samples(path).notes[0]


def test_an_acc_of_the_task_s_own_is_said(write: Write) -> None:
    path = write([line(i, acc=0.25) for i in range(4)])
    name = NAME.replace("samples_toy", "results").replace("jsonl", "json")
    found = results({"target_delimiter": " "}, results={"toy": {"acc,none": 0.25}})
    path.with_name(name).write_text(json.dumps(found))
    (note,) = read_samples(path).notes
    assert note.startswith(
        "the run printed acc 0.2500, and 1.0000 is how often the likeliest option"
    )
