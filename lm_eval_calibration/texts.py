"""Texts that others wrote, made fit to be shown.

A terminal obeys control characters, and a name with U+202E reads backwards; XML and HTML forbid
some characters altogether. What shows a text (a terminal, a page, a picture, a log) shows this.
"""

from __future__ import annotations

import re

STAND_IN = "\N{REPLACEMENT CHARACTER}"
_NONCHARACTERS = "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
_OTHER = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, ESC among them
    "\u2028\u2029"  # ends of lines and paragraphs
    "\u202a-\u202e\u2066-\u2069"  # direction by embedding, override and isolation
    "\ud800-\udfff"  # halves of surrogate pairs
    f"\ufdd0-\ufdef{_NONCHARACTERS}"
)
_IN_LINES, _IN_A_LINE = (re.compile(f"[{more}{_OTHER}]") for more in ("", "\t\n"))


def printable(text: str, lines: bool = False) -> str:
    r"""`text` with U+FFFD for every character that would do something, or that none may show.

    Args:
        text: any.
        lines: whether it may have lines: its newlines and tabs then stay.

    >>> printable("\x1b]0;arc\x07\n"), printable("a\r\n\tb", lines=True)
    ('�]0;arc��', 'a\n\tb')
    """
    if lines:
        return _IN_LINES.sub(STAND_IN, text.replace("\r\n", "\n"))
    return _IN_A_LINE.sub(STAND_IN, text)


def shortened(text: str, most: int) -> str:
    r"""The beginning of a text, in a line.

    >>> shortened("one\n two three", 9), shortened("", 5)
    ('one two …', '')
    """
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + " …"
