"""Which columns are options, and what each option is called."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from lm_eval_calibration.errors import invalid

_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"([A-Za-z])\.\.([A-Za-z])|(\d{1,4})\.\.(\d{1,4})")
_HOW = "columns with a range or a list, as 'logit_{A..D}', 'p_{yes,no}' or 'p_yes,p_no'"


def columns_of(written: str) -> tuple[str, ...]:
    """The columns of the options, in their order.

    >>> columns_of("logit_{A..C}"), columns_of("p_{0..2}_x"), columns_of("yes, no")
    (('logit_A', 'logit_B', 'logit_C'), ('p_0_x', 'p_1_x', 'p_2_x'), ('yes', 'no'))

    Raises:
        InvalidInputError: braces that are no range or list, or a column twice.
    """
    found = _BRACES.findall(written)
    if len(found) > 1 or (not found and ("{" in written or "}" in written)):
        raise invalid("--options", _HOW, f"`{written}`")
    if found:
        before, after = written.split("{")[0], written.split("}")[1]
        if "," in before + after:
            raise invalid("--options", _HOW, f"`{written}`")
        names = [f"{before}{each}{after}" for each in _listed(found[0], written)]
    else:
        names = [name.strip() for name in written.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise invalid("--options", "columns, each once", f"`{written}`")
    return tuple(names)


def _listed(inside: str, written: str) -> list[str]:
    """What braces stand for."""
    whole = _RANGE.fullmatch(inside.strip())
    if whole is None:
        if "," not in inside:
            raise invalid("--options", _HOW, f"`{written}`")
        return [part.strip() for part in inside.split(",")]
    letters = whole[1] is not None
    first, last = (ord(whole[1]), ord(whole[2])) if letters else (int(whole[3]), int(whole[4]))
    if first >= last:
        raise invalid("--options", "a range that rises, as {A..D}", f"`{written}`")
    return [chr(n) if letters else str(n) for n in range(first, last + 1)]


def short_names(columns: Sequence[str]) -> tuple[str, ...]:
    """What tells columns apart: their names without what all begin and end with.

    >>> short_names(["x_choiceA_probs", "x_choiceB_probs"]), short_names(["p_10", "p_11"])
    (('A', 'B'), ('10', '11'))
    >>> short_names(["yes", "no"])
    ('yes', 'no')
    """
    before = _shared(columns)
    after = _shared([name[::-1] for name in columns])
    found = tuple(name[before : len(name) - after] for name in columns)
    return found if all(found) and len(set(found)) == len(columns) else tuple(columns)


def _shared(columns: Sequence[str]) -> int:
    """How many characters all begin with, short of a word or number that goes on in one of them.

    A single letter is a word of its own: of `choiceA` it is `A`, and `truth`, `trust` are whole.
    """
    same = itertools.takewhile(lambda letters: len(set(letters)) == 1, zip(*columns, strict=False))
    shared = columns[0][: len(list(same))].rstrip("0123456789")
    goes_on = (re.match(r"[^\W\d_]*", name[len(shared) :]) for name in columns)
    if all(match is not None and len(match[0]) <= 1 for match in goes_on):
        return len(shared)
    return len(re.sub(r"[^\W\d_]+$", "", shared))
