"""Valid things, which fuzzing starts from."""

from __future__ import annotations

from typing import Any

from logged_lines import line
from mutations import written

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.verbal.labels import Labels

ENVELOPE = Envelope(
    "self_correct", "a", 0.5, ("a", "b"), (0, None), (0.4, 0.6), ("1", "?"), ((0, 1), (1, 0)),
    ("invalid",), ("A.", "B."), (0.5, 1.0),
)  # fmt: skip
LABELS = Labels("ABCD", ["Paris", "London", "Rome", "Oslo"])
REPLIES = [
    '{"A": 0.7, "B": 0.1, "C": 0.1, "D": 0.1}',
    '```json\n{"answer": "A", "probabilities": {"A": "70%", "B": "1/10", "C": "0,1", "D": 0.1}}\n```',
    "A: 70%\nB: 10%\nC: .1\nD: 1/10",
]
CHOICES = [
    line(i, scores=[-1.0 - 0.1 * i, -2.0], target=str(i % 2), acc=float(i % 2 == 0))
    for i in range(4)
]
GENERATED = [
    line(
        i, texts=["x"], scores=["so it is"], target="so it is", exact_match=1.0,
        resps=[[Envelope("p_true", "so it is", 0.5, ("so", "it")).to_text()]],
    )
    for i in range(4)
]  # fmt: skip


RESULTS = {
    "group_subtasks": {"all": ["some", "toy"], "some": ["toy"], "toy": []},
    "model_name": "maker/model", "date": 1.7e9, "config": {"model": "hf", "limit": 4},
    "configs": {"toy": {"task": "toy"}}, "versions": {"toy": 1}, "n-shot": {"toy": 0},
    "higher_is_better": {"toy": {"acc": True}}, "total_evaluation_time_seconds": "3.5",
}  # fmt: skip


def lines(samples: list[Any]) -> bytes:
    """A samples file's content."""
    return b"".join(written(sample) + b"\n" for sample in samples)
