"""Tables as files of the endings that are read."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def written(frame: pd.DataFrame, folder: Path, suffix: str) -> Path:
    """A frame as a `.csv`, `.jsonl` or `.parquet` file."""
    path = folder / f"table{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_parquet(path)
    return path
