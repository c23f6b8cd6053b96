"""Our loggers, whose messages quote names and texts of others."""

from __future__ import annotations

import logging

from lm_eval_calibration.texts import printable


def logger(name: str) -> logging.Logger:
    """The logger of a name; its messages are one line, of characters that do nothing."""
    found = logging.getLogger(name)
    found.addFilter(_shown)
    return found


def _shown(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable(record.getMessage()), None
    return True
