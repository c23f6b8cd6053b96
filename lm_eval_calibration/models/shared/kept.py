"""Answers that are kept between runs: in the harness's cache file, in a table of our own, as JSON.

A cache of the harness holds pickles, which run code when they are read, and knows an answer by its
prompt alone. Ours are JSON, and are checked by kind when they are read, as they were before they
were kept. What the harness, or an older release, kept in the same file is read where it is plain.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import sqlite3
import weakref
from pathlib import Path
from typing import Any

from lm_eval_calibration import json_text
from lm_eval_calibration.envelope import is_envelope
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answers import UnusableError, as_kept, checked

log = logger(f"lm_eval.{__name__}")

OURS, HARNESS = "lm_eval_calibration", "unnamed"
"""Tables: ours, and that of the harness's releases."""
WAIT = 30.0
"""Seconds for another run that is writing."""
FAILURES = 3
"""Answers in a row that could not be kept, before none is tried any more."""
_NOTHING = object()


class Kept:
    """The answers in a cache file of the harness.

    Args:
        path: of the file, which the harness has opened.
        who: whose answers they are (see `identity`); others' are not read. With "", whatever the
            harness, or an older release, kept there is read too.

    Attributes:
        unusable: how many were found that could not be used, since `say` was called.

    Raises:
        InvalidInputError: the file is damaged, or cannot be written.
    """

    def __init__(self, path: Path, who: str = "") -> None:
        self._path, self._who, self.unusable = path, who, 0
        self._failures = self._lost = 0
        try:
            self._file = _opened(path, HARNESS, OURS)
        except sqlite3.Error as error:
            raise _damaged(path, error) from error
        weakref.finalize(self, self._file.close)
        self._say_whose()

    def _say_whose(self) -> None:
        if not self._who:
            return
        mine, others = (
            f"SELECT 1 FROM {OURS} WHERE key {how} LIMIT 1" for how in ("LIKE ?", "NOT LIKE ?")
        )
        foreign = f"SELECT 1 FROM {HARNESS} WHERE key NOT LIKE ? LIMIT 1"
        try:
            rows = [
                self._file.execute(asked, (f"{self._who}:%",)).fetchone()
                for asked in (mine, others, foreign)
            ]
        except sqlite3.Error as error:
            raise _damaged(self._path, error) from error
        if rows[0] is None and any(rows[1:]):
            log.warning(
                "`%s` holds answers of another model, or that do not say of which; they stay, and "
                "are not read.", self._path,
            )  # fmt: skip

    def get(self, key: str, kind: str) -> Any:
        """The answer to a request of a kind, or `None` where there is none that can be used.

        Raises:
            InvalidInputError: the file is damaged.
        """
        tables = ((OURS, json_text.loads), (HARNESS, plain))
        for table, decode in tables[:1] if self._who else tables:
            found = self._row(table, self._of(key), decode)
            if found is _NOTHING or is_envelope(found):
                continue
            try:
                return checked(kind, found)
            except UnusableError:
                self.unusable += 1
        return None

    def put(self, key: str, answer: Any) -> None:
        """Keep an answer that was checked; where the disk refuses it, the run goes on without."""
        if self._failures >= FAILURES:
            self._lost += 1
            return
        text = json.dumps(as_kept(answer), ensure_ascii=False).encode()
        try:
            self._file.execute(
                f"REPLACE INTO {OURS} (key, value) VALUES (?, ?)", (self._of(key), text)
            )
        except (sqlite3.Error, OverflowError) as error:
            self._failures += 1
            self._lost += 1
            if self._lost == 1:
                log.warning("`%s`: answers cannot be kept (%s).", self._path, error)
        else:
            self._failures = 0

    def _of(self, key: str) -> str:
        return f"{self._who}:{key}" if self._who else key

    def say(self, name: str) -> None:
        """Log how many could not be used, or not be kept."""
        if self.unusable:
            log.warning(
                "%s: %d answers in `%s` could not be used; they are asked again, and replaced.",
                name, self.unusable, self._path,
            )  # fmt: skip
        if self._lost:
            log.warning(
                "%s: %d answers could not be kept in `%s`: another run will ask for them again.",
                name, self._lost, self._path,
            )  # fmt: skip
        self.unusable = self._lost = 0

    def _row(self, table: str, key: str, decode: Any) -> Any:
        try:
            row = self._file.execute(f"SELECT value FROM {table} WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise _damaged(self._path, error) from error
        if row is None:
            return _NOTHING
        try:
            return decode(row[0])
        except _MadeError:
            return _NOTHING
        except Exception:  # noqa: BLE001 - whatever a damaged row says, it is no answer
            return None


class NothingKept:
    """A cache that holds nothing, for the harness, where a wrapper keeps what its base said."""

    def __contains__(self, key: str) -> bool:
        return False

    def __setitem__(self, key: str, answer: Any) -> None:
        """Keep nothing: an answer is made anew of the replies, which are kept."""

    def commit(self) -> None:
        """Nothing is waiting."""


def refuse_unusable(path: Path) -> None:
    """Stop before any work where a cache file cannot be read and written.

    Raises:
        InvalidInputError: it can not; the message says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.exists(path) and not os.path.isfile(path):
            raise invalid("--use_cache", "a file, or a name for one", f"`{path}`, which is none")
        _opened(path, HARNESS).close()
    except (OSError, sqlite3.Error) as error:
        raise _damaged(path, error) from error


def _opened(path: Path, *tables: str) -> sqlite3.Connection:
    """The file with some tables, once it is known that it is a cache and can be written."""
    file = sqlite3.connect(path, timeout=WAIT, isolation_level=None, check_same_thread=False)
    try:
        file.execute("PRAGMA synchronous = OFF")  # (as the harness has it)
        file.execute("BEGIN IMMEDIATE")
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master")}
        if names and HARNESS not in names:
            raise sqlite3.DatabaseError("it is a database of something else")
        for table in tables:
            file.execute(f"CREATE TABLE IF NOT EXISTS {table} (key TEXT PRIMARY KEY, value BLOB)")
            file.execute(f"SELECT key, value FROM {table} LIMIT 1")
        file.execute("COMMIT")
    except sqlite3.Error:
        file.close()
        raise
    file.text_factory = bytes
    return file


def _damaged(path: Path, error: Exception) -> InvalidInputError:
    return InvalidInputError(
        f"`--use_cache`: `{path}` cannot be used as a cache ({error}). Give another name, or move "
        "the file away."
    )


class _MadeError(Exception):
    """A row holds an object of ours: what a wrapper of an older release made of replies."""


class _Plain(pickle.Unpickler):
    """Reads pickles of texts, numbers, lists and tuples, and runs nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class and function."""
        if module.startswith("lm_eval_calibration."):
            raise _MadeError(name)
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


def plain(data: bytes) -> Any:
    """The texts, numbers, lists and tuples of a pickle, nothing of which is run.

    Raises:
        Exception: of whatever kind, where it holds anything else.
    """
    return _Plain(io.BytesIO(data)).load()
