"""Kinds of length normalisation: by what the harness divides an option's log-likelihood before it compares.

`_norm` is to `acc_norm`, and `_bytes` to `acc_bytes`, what a plain metric is to `acc`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PLAIN = ""
"""The suffix of what is not normalised."""


def utf8_length(text: str) -> int:
    """Bytes of a text in UTF-8.

    >>> utf8_length("naïve"), utf8_length("是")
    (6, 3)
    """
    return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Normalisation:
    """One kind.

    Attributes:
        suffix: of our metrics' names, e.g. `_norm`.
        verdict: the harness's metric that goes by it, e.g. `acc_norm`.
        unit: of length, in words.
        length: of an option's text, without the delimiter before it, as
            `ConfigurableTask.process_results` counts it.
    """

    suffix: str
    verdict: str
    unit: str
    length: Callable[[str], int]


NORMALISATIONS: dict[str, Normalisation] = {
    each.suffix: each
    for each in (
        Normalisation("_norm", "acc_norm", "character", len),
        Normalisation("_bytes", "acc_bytes", "UTF-8 byte", utf8_length),
    )
}
"""By suffix."""
SUFFIXES = (PLAIN, *NORMALISATIONS)


def parted(name: str) -> tuple[str, str]:
    """A metric's name without the suffix of a normalisation, and that suffix.

    >>> parted("ece_null_bytes"), parted("acc")
    (('ece_null', '_bytes'), ('acc', ''))
    """
    suffix = next((suffix for suffix in NORMALISATIONS if name.endswith(suffix)), PLAIN)
    return name.removesuffix(suffix), suffix
