"""Single cells of tables, in words and as text."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import Series


def brief(value: Any) -> str:
    """A cell for a message.

    >>> brief("a" * 80)[-6:], brief(1.5)
    ('aaa...', '1.5')
    """
    text = str(value)
    return text if len(text) < 60 else text[:60] + "..."


def got(value: Any) -> str:
    """What came, for a message.

    >>> got("b"), got(None)
    ('`b`', 'an empty cell')
    """
    return f"`{brief(value)}`" if text_of(value) else "an empty cell"


def text_of(value: Any) -> str:
    """A cell as text without spaces around it, whole numbers without a point; "" if it is empty.

    >>> text_of(" b "), text_of(3.0), text_of(True), text_of(None), text_of(float("nan"))
    ('b', '3', 'True', '', '')
    """
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if value is None or value != value:
        return ""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def texts_of(column: Series) -> NDArray[np.object_]:
    """(N,) `text_of` each cell."""
    cells = column.tolist()
    texts = [cell.strip() if isinstance(cell, str) else text_of(cell) for cell in cells]
    return np.array(texts, dtype=object)


def numbers_in(column: Series) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(N,) the numbers of a column, NaN where a cell is none; and which cells are empty."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers, np.isnan(numbers)
    if pd.api.types.is_string_dtype(column):  # (of which a file of millions of rows has its time)
        numbers = _parsed(column)
        empty = np.isnan(numbers)
        empty[empty] = texts_of(column[empty]) == ""
        return numbers, empty
    texts = texts_of(column)
    return numbers_of(texts), np.asarray(texts == "", dtype=np.bool_)


def numbers_of(texts: NDArray[np.object_]) -> NDArray[np.float64]:
    """(N,) the numbers that texts are, NaN where they are none.

    >>> numbers_of(np.array(["3", "3.0", "b", ""], dtype=object)).tolist()
    [3.0, 3.0, nan, nan]
    """
    import pandas as pd

    return _parsed(pd.Series(texts, dtype=object))


def _parsed(column: Series) -> NDArray[np.float64]:
    import pandas as pd

    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if int(pd.__version__.partition(".")[0]) < 3:  # (whose last place is not the nearest)
        found, known = found.copy(), ~np.isnan(found)
        with contextlib.suppress(ValueError):
            found[known] = column.to_numpy(dtype=object)[known].astype(np.float64)
    return found
