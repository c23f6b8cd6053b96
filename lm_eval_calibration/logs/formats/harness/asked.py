"""What a logged line says of how its document was put to the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_calibration import json_text
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad


def requests_of(sample: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(context, continuation) of every request, in today's format and that of harness 0.4.0."""
    logged = sample.get("arguments")
    if logged is None:
        raise BadLineError("no field `arguments`, which `lm_eval --log_samples` writes")
    entries = logged.values() if isinstance(logged, dict) else logged
    try:
        return [(e["arg_0"], e["arg_1"]) if isinstance(e, dict) else (e[0], e[1]) for e in entries]
    except (KeyError, IndexError, TypeError):
        raise BadLineError("`arguments` holds no (context, continuation) pairs") from None


@malformed_is_bad
def prompt_of(sample: Mapping[str, Any]) -> str:
    """The context of the first request; chat messages turn by turn."""
    return text_of(requests_of(sample)[0][0])


def text_of(context: Any) -> str:
    """A context as text; chat messages turn by turn."""
    try:
        turns = _turns(context) or []
        said = "\n\n".join(f"[{turn['role']}] {turn['content']}" for turn in turns)
    except (TypeError, LookupError):
        said = ""
    return said or str(context)


def _turns(context: Any) -> Any:
    """The messages of a context, which an API's class keeps, as JSON, in a list of one."""
    if not isinstance(context, list) or len(context) != 1:
        return None
    try:
        return json_text.loads(context[0])
    except (ValueError, TypeError):
        return None


@malformed_is_bad
def messages_of(sample: Mapping[str, Any]) -> Any:
    """The context of the first request: chat messages (`role`, `content`), or a text."""
    context = requests_of(sample)[0][0]
    turns = _turns(context)
    if isinstance(turns, list) and all({"role", "content"} <= set(turn) for turn in turns):
        return [{name: turn[name] for name in ("role", "content")} for turn in turns]
    return str(context)
