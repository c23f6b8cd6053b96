"""What every belief source is: how it is asked, what it answers and logs, and how it fails.

A belief source is a model of the harness whose answers say how sure it is: a log-likelihood for each
option of a document, or an answer with a confidence. `tests/models/test_laws.py` holds all of them
to what stands here.

*Asked.* The harness hands over lists of `Instance`, in any order and any parts; each names its task
(`task_name`), its document (`doc_id`, `doc`) and its option (`idx`), so that a source may see a
document, or a task, as a whole. An answer depends on the requests and the source's arguments alone:
not on their order, nor on what was asked before.

*Answers.* As many as requests, in their order. `loglikelihood`: a pair of a number, not NaN nor above
0, and a truth value; a source that changes beliefs leaves the first largest option the first largest,
unless its method says otherwise. `generate_until`: a text, which for twins of sources with
`states_confidence` is an `Envelope` in the source's name.

*Options.* Sources that ask about options themselves (`ASKED` in that test: in words, by letters, by decisions) are a
`ChoiceBeliefs`: it makes a `Choice` of each document (the run's conversation, a bare question, the options' texts), and
`state` a `Statement` of each choice, with probabilities as they were read, what was repaired or could not be, the
replies, and what else is known of how it was asked (`MEASURES`). What cannot be read is uniform and counted, never
left out; floors and calibrators come after.

*Logged.* What was said is in the envelope, or with the answer (`stated`, `draws`); what the run must
remember of the source is in `get_model_info()`, as JSON and without secrets.

*Failing.* What cannot be used is refused before the first request, with the argument's name. An
answer of the base that is none ends the run with an `InvalidInputError` that names the task and the
document; a server's single failures are answers that say so (`Failed`, `Unscored`), counted in
`invalid_rate`, unless all fail.
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol


class BeliefSource(Protocol):
    """A model of `MODELS`; what it does not declare is as the harness's models have it.

    Attributes:
        states_confidence: whether its answers to generation twins are envelopes.
        keeps: kinds of requests that it must see whole, whatever `--use_cache` holds; it keeps
            what it computes itself.
        keeps_replies: whether the harness is to keep none of its answers, since it keeps what its
            base said.
    """

    states_confidence: ClassVar[bool]
    keeps: ClassVar[tuple[str, ...]]
    keeps_replies: ClassVar[bool]

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Of each request's continuation after its context, in nats."""

    def generate_until(self, requests: list[Any]) -> list[str]:
        """To each request's prompt."""

    def get_model_info(self) -> dict[str, Any]:
        """What results say of it."""
