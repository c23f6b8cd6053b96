"""`lm-calib cost`: what runs took, and what all documents would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration.analysis.cost import Cost, CostAccount, Price, account_of, cost_of
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown_table,
    terminal_table,
)
from lm_eval_calibration.cli.source import load
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.formats.harness.results import newest_results

HEADER = ("", "documents", "requests", "tokens in", "tokens out", "time", "price")
NOT_COUNTED = (
    "Tokens are counted by our wrappers, over hf-fast (of the texts that it writes itself) or over a server that "
    "tells its usage."
)


def price_of(text: str | None) -> Price | None:
    """`IN,OUT`, of a million tokens each.

    Raises:
        InvalidInputError: something else.
    """
    if text is None:
        return None
    try:
        prompts, replies = (float(part) for part in text.split(","))
        if not all(math.isfinite(v) and v >= 0 for v in (prompts, replies)):
            raise ValueError
    except ValueError:
        wanted = "IN,OUT: what a million tokens of prompts and of replies cost, e.g. 0.15,0.60"
        raise invalid("--price", wanted, repr(text)) from None
    return Price(prompts, replies)


def accounts_of(paths: Sequence[str], price: Price | None, skip_bad: bool) -> list[CostAccount]:
    """Of all runs: by the results files of folders, whatever their tasks; of what else there is as other commands read it.

    Raises:
        InvalidInputError: none has a results file.
    """
    found = []
    for path in paths:
        results = newest_results(Path(path))
        runs = [] if results else load([path], skip_bad)
        found += [account_of("", each, price) for each in results]
        found += [account for run in runs for account in cost_of(run, price)]
    if not found:
        raise InvalidInputError(
            "There is no results file beside these samples, which says what the run took: `results_<date>.json`, "
            "as lm_eval writes it to --output_path."
        )
    return found


def render(accounts: Sequence[CostAccount], how: OutputFormat) -> str | None:
    """What was found in `how`, as text; `None` for the terminal, where it is printed."""
    words = [NOT_COUNTED] if any(math.isnan(a.spent.prompt_tokens) for a in accounts) else []
    return in_format(
        how,
        told=lambda: {"costs": [_as_json(account) for account in accounts]},
        rows=lambda: [_flat(account) for account in accounts],
        markdown=lambda: "\n\n".join([markdown_table(HEADER, _rows(accounts), texts=1), *words]),
        items=lambda: [terminal_table(HEADER, _rows(accounts), texts=(0,)), *words],
    )


def _rows(accounts: Sequence[CostAccount]) -> list[list[str]]:
    return [row for account in accounts for row in _rows_of(account)]


def _rows_of(account: CostAccount) -> list[list[str]]:
    rows = [[account.run or Path(account.model).name, *_cells(account.spent)]]
    if account.whole.documents != account.spent.documents:
        rows.append(["  all documents, about", *_cells(account.whole)])
    return rows


def _cells(cost: Cost) -> list[str]:
    return [
        *(_count(value) for value in cost[:4]),
        _duration(cost.seconds),
        "-"
        if math.isnan(cost.price)
        else f"{cost.price:,.4f}"
        if cost.price < 1
        else f"{cost.price:,.2f}",
    ]


def _count(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}"


def _duration(seconds: float) -> str:
    """In the two largest units."""
    if math.isnan(seconds):
        return "-"
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {left:02} s" if minutes else f"{left} s"


def _as_json(account: CostAccount) -> dict[str, Any]:
    spent, whole = account.spent._asdict(), account.whole._asdict()
    return {"run": account.run, "model": account.model, "spent": spent, "whole": whole}


def _flat(account: CostAccount) -> dict[str, Any]:
    whole = {f"whole_{name}": value for name, value in account.whole._asdict().items()}
    return {"run": account.run, "model": account.model, **account.spent._asdict(), **whole}
