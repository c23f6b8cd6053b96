"""The harness's requests, put together again as documents with options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm_eval_calibration.harness.api import handle_non_serializable, hash_string
from lm_eval_calibration.names import upstream_name


@dataclass
class OptionsDocument:
    """A document of a task, as requests ask about it.

    Attributes:
        task: its task's name; a twin's is that of the task it is the twin of.
        doc: the document itself.
        options: for each option the numbers of its requests (several where a parallel run fills
            up its shares with copies).
        unconditional: numbers of the requests that ask for the options without any context.
    """

    task: str
    doc: Mapping[str, Any]
    options: list[list[int]] = field(default_factory=list)
    unconditional: list[int] = field(default_factory=list)

    @property
    def hash(self) -> int:
        """The first 64 bits of the harness's hash."""
        return document_hash(self.doc)


def document_hash(doc: Mapping[str, Any]) -> int:
    """The first 64 bits of the hash that the harness logs of a document."""
    text = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
    return int(hash_string(text)[:16], 16)


def documents(requests: Sequence[Any]) -> list[OptionsDocument]:
    """The documents that log-likelihood requests (`Instance`) are about, in order.

    Requests without a task or a number belong together when their contexts are equal.
    """
    by_key: dict[Any, dict[int, list[int]]] = {}
    for number, request in enumerate(requests):
        known = None not in (request.task_name, request.doc_id)
        key = (request.task_name, request.doc_id, None if known else request.args[0])
        by_key.setdefault(key, {}).setdefault(request.idx, []).append(number)
    return [_document(by_option, requests) for by_option in by_key.values()]


def _document(by_option: dict[int, list[int]], requests: Sequence[Any]) -> OptionsDocument:
    options = [by_option[idx] for idx in sorted(by_option)]
    first = requests[options[0][0]]
    count = len(options)
    if count % 2 == 0 and count > 2:  # `acc_mutual_info` asks for each option without context too
        half = count // 2
        bare = [requests[numbers[0]].args[0] == "" for numbers in options]
        if all(bare[half:]) and not any(bare[:half]):
            count = half
    unconditional = [number for numbers in options[count:] for number in numbers]
    name = upstream_name(first.task_name or "")
    return OptionsDocument(name, first.doc, options[:count], unconditional)
