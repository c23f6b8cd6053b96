"""Which answers say the same: by entailment both ways, and what is no answer."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared import saying_the_same
from lm_eval_calibration.models.shared.saying_the_same import AskedSameness, ByEntailment


class Entailing:
    """A cross-encoder by which shorter texts follow from longer ones that begin with them."""

    config = type("C", (), {"id2label": {0: "contradiction", 1: "entailment", 2: "neutral"}})
    asked: ClassVar[list[tuple[str, str]]] = []

    def predict(self, pairs: Any, **_: Any) -> Any:
        self.asked += pairs
        return np.eye(3)[[1 if a.startswith(b) else 2 for a, b in pairs]]


def test_entailment_must_hold_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying_the_same, "_cross_encoder", lambda name, device: Entailing())
    Entailing.asked.clear()
    judge = ByEntailment("any")
    questions = [AskedSameness(None, "Why?", ["because", "Because ", "because so", "no"])]
    assert saying_the_same.clusters(judge, questions) == [(0, 0, 1, 2)]
    assert len(Entailing.asked) == 6  # n (n - 1) of three that differ
    saying_the_same.clusters(judge, questions)
    assert len(Entailing.asked) == 6  # known


def test_a_judge_without_entailment(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Entailing):
        config = type("C", (), {"id2label": {0: "positive", 1: "not_entailment"}})

    monkeypatch.setattr(saying_the_same, "_cross_encoder", lambda name, device: Other())
    with pytest.raises(
        InvalidInputError, match="a model with a label `entailment` and others, got `any`"
    ):
        saying_the_same.clusters(ByEntailment("any"), [AskedSameness(None, "Why?", ["a", "b"])])
    monkeypatch.undo()
    with pytest.raises(InvalidInputError, match="judge=embeddings"):
        saying_the_same.clusters(
            ByEntailment("/nowhere/x"), [AskedSameness(None, "Why?", ["a", "b"])]
        )


def test_no_answer_says_the_same_as_nothing() -> None:
    asked = AskedSameness(None, "Why?", ["", "Berlin", " ", "berlin"])
    assert asked.texts == ["Berlin"] and asked.clusters(np.eye(1)) == (0, 1, 2, 1)
    assert AskedSameness(None, "Why?", ["", ""]).clusters(np.zeros((0, 0))) == (0, 1)
