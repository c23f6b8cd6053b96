"""Tables in the layouts of three published ones, made up: the same beliefs of two models in each."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd

COUNT = 60
GOLD = np.random.default_rng(9).integers(0, 4, COUNT)


def logits(model: str) -> np.ndarray:
    """(60, 4) of the model `small` or `large`."""
    found = np.random.default_rng(len(model)).normal(size=(COUNT, 4))
    found[np.arange(COUNT), GOLD] += 1.0 if model == "small" else 2.0
    return found


def write_tables(root: Path) -> None:
    """Write `logits/`, `results_<model>/`, `answers/` and `scores.jsonl`."""
    for model in ("small", "large"):
        x = logits(model)
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        _by_letter(root / "logits" / model, x)
        _of_an_engine(root / f"results_{model}", model, p)
        _answers(root / "answers", model, x, p)
    rows = [
        {"scores": dict(zip("ABCD", row, strict=True)), "answer": "ABCD"[gold]}
        for row, gold in zip(np.log(p).tolist(), GOLD, strict=True)
    ]
    (root / "scores.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _letters(places: np.ndarray) -> list[str]:
    return ["ABCD"[place] for place in places]


def _by_letter(folder: Path, x: np.ndarray) -> None:
    """As alecwangcq/llm-calibration: a column of logits for each letter. One of two files is packed."""
    table = pd.DataFrame(x, columns=[f"Logit_{c}" for c in "ABCD"])
    table = table.assign(gold=_letters(GOLD), question=[f"q{i}" for i in range(COUNT)])
    folder.mkdir(parents=True)
    table[:30].to_csv(folder / "law_test.csv", index=False)
    packed = gzip.compress(table[30:].to_csv(index=False).encode())
    (folder / "marketing_test.csv.gz").write_bytes(packed)


def _of_an_engine(folder: Path, model: str, p: np.ndarray) -> None:
    """As hendrycks/test: the question, in columns without names, then what the engine said."""
    table = pd.DataFrame({str(i): ["?"] * COUNT for i in range(5)})
    table["5"] = _letters(GOLD)
    table[f"{model}_correct"] = p.argmax(axis=1) == GOLD
    for k, letter in enumerate("ABCD"):
        table[f"{model}_choice{letter}_probs"] = p[:, k]
    folder.mkdir(parents=True)
    table.to_csv(folder / "law.csv", index=False)


def _answers(folder: Path, model: str, x: np.ndarray, p: np.ndarray) -> None:
    """As stutisinghal008/llm-eval: an answer, the right one and a confidence, one file a model."""
    best = np.sort(x, axis=1)
    columns = {
        "id": range(COUNT),
        "prediction": _letters(p.argmax(axis=1)),
        "gold": _letters(GOLD),
        "confidence": p.max(axis=1),
        "margin": best[:, 3] - best[:, 2],
    }
    folder.mkdir(exist_ok=True)
    pd.DataFrame(columns).to_csv(folder / f"{model}.csv", index=False)
