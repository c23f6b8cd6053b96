"""Output on terminals that are not of today."""

from __future__ import annotations

import io
import sys

import pytest

from lm_eval_calibration.cli.encoding import ASCII, tolerant


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
def test_signs_have_ascii_in_their_place(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f"ece ↓ ∞ ± 0.1 é 漢 {''.join(ASCII)}\n"
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    tolerant()
    for stream in streams:
        stream.write(text)
        stream.flush()
        shown = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
        if encoding == "utf-8":
            assert shown == text
        elif encoding == "ascii":
            assert shown.startswith(r"ece v inf +/- 0.1 \xe9 \u6f22 ^v")
        else:
            assert "é" in shown and r"\u6f22" in shown and "\\u2193" not in shown


def test_every_sign_that_we_print_has_one() -> None:
    assert all(sign.isascii() for sign in ASCII.values())
