"""The harness's cache file, read with care for models whose answers the harness keeps itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answers import checked
from lm_eval_calibration.models.shared.kept import plain

log = logger(f"lm_eval.{__name__}")


class CheckedRows:
    """Answers in a cache of the harness: whatever else stands there is no answer, and nothing is run.

    Args:
        rows: the harness's (a `SqliteDict`).
        who: whose answers they are (see `identity`); others' are not read.

    Attributes:
        unusable: how many were found that could not be used, since that was last said.
    """

    def __init__(self, rows: Any, who: str) -> None:
        rows.decode = plain
        self._rows, self._who, self._kind, self.unusable = rows, who, "", 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_rows"], name)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return self[key] is not None

    def __getitem__(self, key: str) -> Any:
        if self._of(key) not in self._rows:
            return None
        try:
            return checked(self._kind, self._rows[self._of(key)])
        except Exception:  # noqa: BLE001 - whatever a damaged row says, it is no answer
            self.unusable += 1
            return None

    def __setitem__(self, key: str, answer: Any) -> None:
        self._rows[self._of(key)] = answer

    def update(self, answers: Mapping[str, Any]) -> None:
        """Keep several at a time."""
        self._rows.update({self._of(key): answer for key, answer in answers.items()})

    def _of(self, key: str) -> str:
        return f"{self._who}:{key}"

    def reading(self, kind: str, ask: Callable[[list[Any]], list[Any]]) -> Callable[..., list[Any]]:
        """`ask`, the harness's for one kind of requests, which reads answers of that kind."""

        def ask_with_care(requests: list[Any]) -> list[Any]:
            self._kind = kind
            found = ask(requests)
            if self.unusable:
                log.warning(
                    "%d answers in `%s` could not be used; they were asked again, and replaced.",
                    self.unusable, self._rows.filename,
                )  # fmt: skip
                self.unusable = 0
            return found

        return ask_with_care
