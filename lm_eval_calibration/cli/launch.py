"""Start the harness's own command line with this package attached."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def launch(arguments: Sequence[str]) -> None:
    """Call `lm_eval` with `arguments`, as its console script would."""
    from lm_eval.__main__ import cli_evaluate

    import lm_eval_calibration  # noqa: F401 - attaches to the harness

    sys.argv = ["lm_eval", *arguments]
    cli_evaluate()
