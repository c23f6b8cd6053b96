"""What the harness's table shows of a run, and what it says beneath."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
from lm_eval import utils

from lm_eval_calibration.harness.requests import RECORD
from lm_eval_calibration.tasks.asked_metrics import KEY, READ, VARIABLE
from lm_eval_calibration.tasks.shown import shown_rows

NAN = math.nan


def rows(**values: float) -> dict[str, Any]:
    found: dict[str, Any] = {"alias": "a", "sample_len": 9}
    for name, value in values.items():
        found |= {f"{name},none": value, f"{name}_stderr,none": 0.01}
    return found


def results(shown: Any = READ, **values: float) -> dict[str, Any]:
    metadata = {} if shown is None else {KEY: list(shown)}
    return {
        "results": {"calib_a": rows(**values)},
        "configs": {"calib_a": {"metadata": metadata}},
        "group_subtasks": {},
        "versions": {"calib_a": 1},
        "n-shot": {"calib_a": 0},
        "higher_is_better": {"calib_a": {}},
    }


def names(found: Any, task: str = "calib_a") -> set[str]:
    keys = found.results["results"][task]
    return {k.partition(",")[0] for k in keys if "," in k and "_stderr" not in k}


EVERY = {"acc": 0.5, "exact_match": 0.5, "nll": 1.0, "ece": 0.1, "ace": 0.1, "aurc": 0.2}


def test_of_a_twin_what_one_reads() -> None:
    given = results(**EVERY)
    before = copy.deepcopy(given)
    found = shown_rows(given, "results")
    assert names(found) == {"acc", "exact_match", "nll", "ece"}
    assert found.notes == [f"2 more rows are in the results; {VARIABLE}=all shows them."]
    assert given == before  # (the results file is written of them)


def test_of_other_tasks_everything() -> None:
    found = shown_rows(results(None, **EVERY), "results")
    assert names(found) == set(EVERY) and found.notes == []
    assert names(shown_rows(results(["all"], **EVERY), "results")) == set(EVERY)


def test_what_was_asked_for_is_shown_and_nothing_else_of_ours() -> None:
    assert names(shown_rows(results(["aurc"], **EVERY), "results")) == {
        "acc",
        "exact_match",
        "aurc",
    }


def test_rates_are_shown_where_something_went_wrong() -> None:
    healthy = {
        "invalid_rate": 0.0,
        "cut_rate": 0.0,
        "repaired_rate": 0.0,
        "acc_valid": 0.5,
        "ece_valid": 0.1,
    }
    assert names(shown_rows(results(acc=0.5, **healthy), "results")) == {"acc", "invalid_rate"}
    ill = {**healthy, "invalid_rate": 0.2, "repaired_rate": 0.1}
    assert names(shown_rows(results(acc=0.5, **ill), "results")) == {
        "acc", "invalid_rate", "repaired_rate", "acc_valid", "ece_valid",
    }  # fmt: skip


def test_a_run_of_which_no_reply_could_be_read_says_so() -> None:
    for values in ({"invalid_rate": 1.0}, {"invalid_rate": 0.5, "cut_rate": 0.5}):
        (said,) = shown_rows(results(acc=0.25, ece=0.08, **values), "results").notes
        assert said.startswith("calib_a: no reply could be read, so the figures mean nothing")
    assert not shown_rows(
        results(acc=0.25, acc_valid=0.5, invalid_rate=0.5, cut_rate=0.5), "results"
    ).notes


def test_groups_show_one_mean() -> None:
    both = {"acc": 0.5, "ece": 0.1, "ece_macro": 0.2}
    given = results(acc=0.5, ece=0.1)
    given["results"]["calib_g"] = rows(**both)
    given["group_subtasks"] = {"calib_g": ["calib_a"], "calib_a": []}
    assert names(shown_rows(given, "results"), "calib_g") == {"acc", "ece"}
    assert names(shown_rows(given, "results", ["calib_g"]), "calib_g") == {"acc", "ece_macro"}
    given["configs"]["calib_a"]["metadata"][KEY] = ["ece", "ece_macro"]
    assert names(shown_rows(given, "results"), "calib_g") == set(both)


@pytest.mark.parametrize("plain", [False, True])
def test_in_the_harness_s_table(plain: bool) -> None:
    given = results(acc=1.0, auroc=NAN, ece=0.2512)
    given["results"]["calib_g"] = rows(acc=1.0, auroc=NAN, ece=0.2512, ece_macro=0.5)
    for key in ("versions", "n-shot", "higher_is_better"):
        given[key]["calib_g"] = given[key]["calib_a"]
    given["group_subtasks"] = {"calib_g": ["calib_a"], "calib_a": []}
    given[RECORD] = {"plain_groups": ["calib_g"]} if plain else {}
    table = utils.make_table(given)
    figures = "".join(text for text in table.splitlines() if text.startswith("|"))
    assert "nan" not in figures.lower() and "|auroc" in figures.replace(" ", "")
    assert figures.count("   -|") == 2 and "1.0000|" in figures  # (the others keep their digits)
    assert "-: `auroc` of calib_a, calib_g, where all answers are right, or all wrong" in table
    assert ("ece_macro" in figures) is plain


def test_what_else_is_said_beneath() -> None:
    given = results(acc=0.5, unanswered_rate=1.0)
    given["configs"]["calib_a"]["metadata"]["split"] = "validation"
    answered, elsewhere = shown_rows(given, "results").notes
    assert "the filter `none` found no answer in any reply, so its figures mean nothing" in answered
    assert elsewhere == "calib_a: evaluated on its split `validation`."
    two = results(acc=1.0, auroc=NAN)
    two["results"]["calib_a"] |= {"auroc,strict": 0.5, "acc,strict": 0.5}
    (said,) = shown_rows(two, "results").notes
    assert "`auroc` of calib_a (none), where all answers are right" in said


def test_stated_probabilities_have_no_length() -> None:
    stated = results((*READ, "ece_norm"), acc=0.5, ece=0.1, ece_norm=0.2, invalid_rate=0.0)
    assert names(shown_rows(stated, "results")) == {"acc", "ece", "invalid_rate"}
    scored = results((*READ, "ece_norm"), acc=0.5, ece=0.1, ece_norm=0.2)
    assert names(shown_rows(scored, "results")) == {"acc", "ece", "ece_norm"}
