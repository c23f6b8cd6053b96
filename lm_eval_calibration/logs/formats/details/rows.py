"""Rows of a file of details, with the columns that say what was believed and what was right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError

NESTED = ("doc", "model_response", "metric")
"""Columns since lighteval 0.11."""
_INSIDE = [
    *(f"doc.{name}" for name in ("query", "choices", "gold_index", "specific")),
    *(f"model_response.{name}" for name in ("logprobs", "text")),
    "metric",
]
NEEDED = ("predictions",)
"""Of files before: what there is no belief without."""
_FLAT = [
    *NEEDED,
    *("choices", "gold_index", "gold", "metrics", "specifics", "acc", "acc_norm"),
    *("full_prompt", "example"),
]
ROWS = 1000
Row = Mapping[str, Any]


def rows_of(path: Path) -> Iterator[Row]:
    """Each row of a file, as its columns hold it.

    Raises:
        InvalidInputError: no Parquet file, one that is damaged or cut off, or of other columns.
    """
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS, columns=_columns(path, file.schema_arrow.names)):
                yield from batch.to_pylist()
    except InvalidInputError:
        raise
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        what = " ".join(str(error).split())[:200]
        raise InvalidInputError(
            f"{path} cannot be read as Parquet ({what}): is it whole? Download or copy it again."
        ) from None


def _columns(path: Path, names: Sequence[str]) -> list[str]:
    if all(name in names for name in NESTED):
        return _INSIDE
    if not all(name in names for name in NEEDED):
        raise InvalidInputError(
            f"{path} has neither the columns {', '.join(NESTED)} nor {', '.join(NEEDED)}; it has "
            f"{', '.join(names) or 'none'}."
        )
    return [name for name in _FLAT if name in names]
