"""The harness's own command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def start(arguments: Sequence[str]) -> None:
    """Call `lm_eval` with `arguments`, as its console script would."""
    from lm_eval.__main__ import cli_evaluate

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
