"""What a results file tells of how a task's documents became requests; the log itself does not say it.

The same rules as `ConfigurableTask.construct_requests` and `process_results`, on the configuration that the
harness wrote: functions it writes as their source, and of those nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.answer_keys import indices_of
from lm_eval_calibration.harness.requests import RECORD
from lm_eval_calibration.json_text import part
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, shown
from lm_eval_calibration.logs.formats.harness.line import target_indices
from lm_eval_calibration.names import upstream_name

_SIMPLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
"""A template that is one of the document's fields."""
_CODE = re.compile(r"\bdef \w+\(|\blambda\b|^<")
_WHOLE = "0.5."
"""Releases whose `acc_norm` divides by the length of the continuation, the delimiter included."""
Config = Mapping[str, Any]


@dataclass(frozen=True)
class ToldByLog:
    """What is known of a task beside its log.

    Attributes:
        known: whether a results file tells of the task at all.
        delimiters: what may stand before each option in its continuation; empty if that is not known.
        options: the field of a document that holds its options, or they themselves; `None` if a function
            makes them.
        target, text: `doc_to_target` and `doc_to_text`, where they are no functions; a list as a tuple.
        bare: whether a document's text is all of its prompt.
        whole: whether `acc_norm` counts what stands before an option as well.
        own_scoring: whether the task scores documents by a function of its own.
    """

    known: bool = False
    delimiters: tuple[str, ...] = ()
    options: str | tuple[str, ...] | None = None
    target: str | int | tuple[Any, ...] | None = None
    text: str | int | tuple[Any, ...] | None = None
    bare: bool = False
    whole: bool = False
    own_scoring: str = ""

    def options_of(self, doc: Any) -> list[str] | None:
        """A document's options, without what stands before them; `None` if that is not known."""
        if isinstance(self.options, tuple):
            return list(self.options)
        found = doc.get(self.options) if isinstance(doc, Mapping) and self.options else None
        texts = isinstance(found, list) and all(isinstance(text, str) for text in found)
        return found if texts else None

    def bare_options(self, doc: Any, texts: list[str]) -> list[str]:
        """A document's options of their continuations, of which 0.5 leaves some without the delimiter."""
        known = self.options_of(doc)
        pairs = list(zip(texts, known or (), strict=False))
        if len(pairs) == len(texts) and all(text.endswith(option) for text, option in pairs):
            return [option for _, option in pairs]
        plain = max(self.delimiters, key=len, default="")
        return [text.removeprefix(plain) for text in texts]

    def key(self, in_context: bool) -> Any:
        """Where the answer key is: before 0.5, tasks of Winogrande's kind have it in `doc_to_text`."""
        return self.text if in_context and not self.whole else self.target

    def gold_of(
        self, sample: Mapping[str, Any], options: Sequence[str], in_context: bool
    ) -> list[int]:
        """The right options of a logged document, by its answer key.

        Raises:
            BadLineError: the answer key is not told, or is none.
        """
        logged = None if in_context and not self.whole else str(sample["target"])
        if self.whole and (numbers := target_indices(logged)) is not None:
            return indices_of(numbers, options)  # (0.5 logs numbers, whatever the task says)
        found = _value(self.key(in_context), sample.get("doc"), logged)
        if found is None:
            raise BadLineError(f"which option the target {shown(sample['target'])} is, is not told")
        return indices_of(found, options)


def _value(given: Any, doc: Any, logged: str | None) -> Any:
    """What `doc_to_target` or `doc_to_text` gives for a document; `None` if that is not known."""
    if not isinstance(given, str):
        return list(given) if isinstance(given, tuple) else given
    fields = doc if isinstance(doc, Mapping) else {}
    if given in fields:
        return fields[given]
    field = _SIMPLE.fullmatch(given)
    text = logged
    if text is None and field is not None and field[1] in fields:
        text = str(fields[field[1]])
    if text is None:
        return None
    if text.isdigit():
        return target_indices(text)
    listed = target_indices(text) if logged is not None and text[:1] == "[" else None
    return text if listed is None else listed


def told_of(results: Mapping[str, Any], task: str) -> ToldByLog:
    """What a results file tells of a task.

    Args:
        results: the file.
        task: its name as logged.
    """
    config = part(part(results, "configs"), task)
    if not config:
        return ToldByLog()
    chat = _chat_template(results, task)
    scoring = config.get("process_results")
    return ToldByLog(
        known=True,
        delimiters=tuple(dict.fromkeys(_delimiters(config, chat))),
        options=_options(config.get("doc_to_choice")),
        target=_given(config.get("doc_to_target")),
        text=_given(config.get("doc_to_text")),
        whole=str(results.get("lm_eval_version")).startswith(_WHOLE),
        bare=chat is False and _is_bare(results, config, task),
        own_scoring=str(scoring) if scoring else "",
    )


def _delimiters(config: Config, chat: bool | None) -> Iterable[str]:
    """As `construct_requests` has it: a chat template brings its own, but for an answer that is begun."""
    plain = config.get("target_delimiter", " ")
    if not isinstance(plain, str):
        return
    prefix = config.get("gen_prefix")
    begun = isinstance(prefix, str) and prefix != "" and not prefix[-1].isspace()
    if chat is not True:
        yield plain
    if chat is not False:
        yield plain if begun else ""


def _chat_template(results: Mapping[str, Any], task: str) -> bool | None:
    """Whether the prompts were put into a chat template, by our record or the harness's own."""
    entries = part(results, RECORD).get("prompts")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping) and upstream_name(task) in (entry.get("tasks") or ()):
            said = entry.get("chat_template")
            if isinstance(said, str):
                return said != ""
    if isinstance(results.get("chat_template"), str):
        return True
    # (Since 0.4.3 results say so by this name, and no release before it had chat templates.)
    whole = "chat_template" in results or "git_hash" in results
    return False if whole or results.get("model_source") is not None else None


def _options(given: Any) -> str | tuple[str, ...] | None:
    if isinstance(given, Mapping):
        given = list(given.values())
    if isinstance(given, list):
        return tuple(given) if all(isinstance(text, str) for text in given) else None
    return given if isinstance(given, str) and given else None


def _given(given: Any) -> Any:
    if isinstance(given, list):
        return tuple(given) if all(isinstance(v, (int, str)) for v in given) else None
    if isinstance(given, str):
        return None if _CODE.search(given) else given
    return given if isinstance(given, int) else None


def _is_bare(results: Mapping[str, Any], config: Config, task: str) -> bool:
    shots = part(results, "n-shot").get(task)
    around = (
        config.get("description"),
        config.get("gen_prefix"),
        results.get("system_instruction"),
    )
    return shots == 0 and not any(around)
