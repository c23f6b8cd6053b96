"""Requests as each release line of the harness makes them."""

from __future__ import annotations

from typing import Any

from lm_eval.api.instance import Instance
from release import OLD

from lm_eval_calibration.harness.api import about


def requested(
    kind: str,
    arguments: Any,
    idx: int = 0,
    *,
    of: tuple[str, int] | None = None,
    doc: dict[str, Any] | None = None,
) -> Any:
    """A request, `of` a task's document if that is given; 0.5 wants one."""
    if kind == "loglikelihood_rolling" and not OLD:
        arguments = ("", *arguments)
    told = about(*of) if of is not None else {} if OLD else about("", idx)
    return Instance(kind, doc or {}, arguments, idx=idx, **told)
