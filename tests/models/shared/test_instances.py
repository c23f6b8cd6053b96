"""Requests put together as documents."""

from __future__ import annotations

from typing import Any

from release import only_0_4
from requesting import requested

from lm_eval_calibration.models.shared.instances import document_hash, documents


def ask(context: str, option: str, idx: int, **about: Any) -> Any:
    task, number = about.get("task", "calib_t"), about.get("number", 0)
    return requested("loglikelihood", (context, option), idx, of=(task, number), doc={"n": number})


def test_options_of_two_documents_and_copies() -> None:
    asked = [
        ask("a", "x", 0), ask("a", "y", 1), ask("b", "y", 1, number=1), ask("b", "x", 0, number=1),
        ask("a", "y", 1),  # a copy, as parallel runs make them
    ]  # fmt: skip
    first, second = documents(asked)
    assert first.task == "t" and first.options == [[0], [1, 4]] and second.options == [[3], [2]]
    assert first.hash == document_hash({"n": 0}) != second.hash


def test_requests_without_context_are_no_options() -> None:
    asked = [ask("a", "x", 0), ask("a", "y", 1), ask("", "x", 2), ask("", "y", 3)]
    (only,) = documents(asked)
    assert only.options == [[0], [1]] and only.unconditional == [2, 3]
    asked = [ask("", text, i) for i, text in enumerate("wxyz")]  # a task without contexts
    (only,) = documents(asked)
    assert len(only.options) == 4 and not only.unconditional


@only_0_4("0.5's requests always name their document")
def test_unnumbered_requests_belong_together_by_context() -> None:
    asked = [requested("loglikelihood", (c, "x"), i) for i, c in enumerate("aab")]
    assert [d.options for d in documents(asked)] == [[[0], [1]], [[2]]]


def test_the_hash_is_the_harnesss() -> None:
    """As `simple_evaluate` logs it for this document."""
    from lm_eval.utils import hash_string

    assert document_hash({"q": "é"}) == int(hash_string('{\n  "q": "é"\n}')[:16], 16)
