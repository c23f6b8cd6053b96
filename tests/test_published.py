"""Figures that others published, from the rows that they published."""

from __future__ import annotations

from pathlib import Path

import pytest

from lm_eval_calibration.metrics import auroc

pd = pytest.importorskip("pandas")


def test_auroc_of_plaut_et_al(data_folder: Path) -> None:
    """80 AUROCs of 10 models, unparseable answers counted as wrong.

    Source: Plaut, Nguyen and Trinh, "Softmax probabilities (mostly) predict large language model
    correctness on multiple-choice Q&A"; theirs and ours differ by up to 3e-4.
    """
    folder = data_folder / "confidence_logs"
    rows = pd.read_parquet(folder / "confidences.parquet")
    published = pd.read_csv(folder / "published_auroc.csv")
    keys = ["prompt_wording", "logit_kind", "dataset", "model"]
    auroc_of = published.set_index(keys)["sample_auroc"].to_dict()
    cells = {cell: found for cell, found in rows.groupby(keys) if cell in auroc_of}
    for cell, found in cells.items():
        confidence = found["confidence"].to_numpy()
        low, high = confidence.min(), confidence.max()  # raw logits: AUROC asks for ranks only
        value = auroc((confidence - low) / (high - low), found["grade"].to_numpy() == "Correct")
        assert value == pytest.approx(auroc_of[cell], abs=4e-4), cell
    assert len(cells) == len(published)
