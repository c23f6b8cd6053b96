"""Four ways to ask for a belief over a document's options, and to read what is replied."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.verbal.json_like import LONGEST, objects
from lm_eval_calibration.verbal.labels import Labels, plain
from lm_eval_calibration.verbal.parsing import ReadReply, read_distribution, read_guesses
from lm_eval_calibration.verbal.thinking import spoken

_ASKED = """\
{{ question }}

{% if texts %}
The options are:
{% for name in names %}
{{ name }}. {{ texts[loop.index0] }}
{% endfor %}
{% else %}
The answer is one of: {{ names | join(", ") }}.
{% endif %}

"""
DISTRIBUTION = (
    "Find the most likely option, judge how sure you can be of it, and then give every option a "
    "probability, so that they sum to 1. Reply with one JSON object and nothing else. Its keys are "
    "{% for name in names %}{{ name | tojson }}{{ ', ' if not loop.last }}{% endfor %}, and its values "
    "are the probabilities."
)
GUESSES = (
    "Give {% if guesses == 1 %}your best guess{% else %}your {{ guesses }} best guesses{% endif %}, and "
    "the probability that each is right. Reply with one JSON object and nothing else. Its keys are the "
    "options that you guess, written exactly as above, and its values are the probabilities."
)
WORDS = (
    "Which one is right, and how sure can one be? Reply with one JSON object and nothing else, with "
    'the keys "answer" (an option, written exactly as above) and "sure" (one of: {{ phrases | '
    "join(', ') }})."
)
PHRASES = {
    "almost certain": 0.93,
    "probable": 0.75,
    "chances about even": 0.5,
    "probably not": 0.3,
    "almost certainly not": 0.07,
}
"""Kent, Words of Estimative Probability (1964): the middles of his ranges."""


@dataclass(frozen=True)
class Style:
    """A way to ask.

    Attributes:
        instruction: jinja with `names`, `guesses`, `phrases`.
        read: a reply as a distribution over the options.
        guesses: how many options are asked for; 0 for all.
    """

    instruction: str
    read: Callable[[str, Labels], ReadReply]
    guesses: int = 0

    @property
    def template(self) -> str:
        """The same after a `question` and its options: `names`, and `texts` if they are letters."""
        return _ASKED + self.instruction

    def names(self, labels: Labels) -> dict[str, Any]:
        """What the jinja may name."""
        return {
            "names": labels.names,
            "texts": labels.texts,
            "guesses": min(self.guesses, len(labels)),
            "phrases": list(PHRASES),
        }


def style(name: str, guesses: int) -> Style:
    """A style by its name; `guesses` is k of `topk`."""
    return {
        "distribution": Style(DISTRIBUTION, read_distribution),
        "top1": Style(GUESSES, read_guesses, 1),
        "topk": Style(GUESSES, read_guesses, guesses),
        "linguistic": Style(WORDS, read_words),
    }[name]


STYLES = ("distribution", "top1", "topk", "linguistic")


def read_words(text: str, labels: Labels) -> ReadReply:
    """An option with a phrase; the rest of the probability is shared by the others.

    >>> read_words('{"answer": "no", "sure": "Probable"}', Labels(["yes", "no"])).probabilities
    (0.25, 0.75)
    """
    for pairs, repair in objects(spoken(text).text[-LONGEST:]):
        members = {plain(str(key)): value for key, value in pairs}
        option = labels.find(str(members.get(plain("answer"), "")))
        sure = PHRASES.get(plain(str(members.get("sure", ""))))
        if option is not None and sure is not None:
            rest = (1 - sure) / max(len(labels) - 1, 1)
            p = tuple(sure if i == option else rest for i in range(len(labels)))
            return ReadReply(
                p, "repaired" if repair else "valid", (repair,) if repair else (), sure
            )
    return ReadReply(None, "invalid", ("no option with a phrase",), math.nan)
