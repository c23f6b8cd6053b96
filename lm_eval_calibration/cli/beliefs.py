"""`lm-calib beliefs`: the beliefs that a run logged of the same answers, side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.beliefs import (
    FEWEST_OF_EACH,
    RANKING,
    BeliefFigures,
    TaskBeliefs,
    figures,
    read_beliefs,
)
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    interval,
    markdown,
    markdown_table,
    number,
)
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.metrics.evaluate import Estimate

NOTHING = "All of them are right, all wrong, or there are fewer than five: no belief can be judged on them."
UNTESTED = f"Fewer than {FEWEST_OF_EACH} are right, or wrong: differences are not tested."
Task = tuple[TaskBeliefs, list[BeliefFigures]]
HEADER = (
    "belief",
    "auroc",
    "95 % interval",
    "less the best's",
    "p (Holm)",
    "prr",
    "aurc",
    "ece",
    "mapped",
)


def find(
    paths: Sequence[str], filter_name: str | None, method: str, replicates: int, skip_bad: bool
) -> list[Task]:
    """The figures of every task that logged beliefs; what was left out goes to stderr."""
    read, without = read_beliefs(paths, filter_name, skip_bad=skip_bad)
    say([f"left out: {text}." for text in without])
    say([f"{each.task}: {note}." for each in read for note in each.notes])
    return [(each, figures(each, method, replicates)) for each in read]


def render(found: Sequence[Task], method: str, how: OutputFormat) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    several = len({task.run for task, _ in found}) > 1
    return in_format(
        how,
        told=lambda: {"beliefs": [_as_json(*task) for task in found]},
        rows=lambda: [row for task in found for row in _flat(*task)],
        markdown=lambda: _markdown(found, several),
        items=lambda: _items(found, several, method),
    )


def _markdown(found: Sequence[Task], several: bool) -> str:
    return "\n\n".join(
        f"**{markdown(_title(task, several))}**\n\n{markdown_table(HEADER, _rows(each), texts=1)}"
        for task, each in found
    )


def _items(found: Sequence[Task], several: bool, method: str) -> list[Table | str]:
    items: list[Table | str] = []
    for task, each in found:
        few = [UNTESTED] if each and task.fewer < FEWEST_OF_EACH else []
        items += [_title(task, several), _table(each) if each else NOTHING, *few, ""]
    return [*items, *([in_words(method)] if any(each for _, each in found) else [])]


def in_words(method: str) -> str:
    """What the columns are."""
    return (
        "less the best's: difference in AUROC, with the 95 % interval of the paired bootstrap over documents. ece: "
        f"as stated; of scores that are no probabilities there is none. mapped: ECE after {method} maps fitted on "
        "the other four fifths of the documents, and what a calibrated model would have."
    )


def _title(task: TaskBeliefs, several: bool) -> str:
    name = f"{task.run} · {task.task}" if several else task.task
    return f"{name}, {len(task.right):,} answers, {int(task.right.sum()):,} of them right"


def _rows(found: Sequence[BeliefFigures]) -> list[list[str]]:
    return [
        [
            each.name,
            number(each.estimates["auroc"].value),
            _range(each.estimates["auroc"]),
            *_apart(each),
            number(each.estimates["prr"].value),
            number(each.estimates["aurc"].value),
            "-" if each.plain is None else number(each.plain.value),
            _with_null(each.estimates["ece"]),
        ]
        for each in found
    ]


def _range(estimate: Estimate) -> str:
    return interval(estimate.low, estimate.high)


def _apart(each: BeliefFigures) -> tuple[str, str]:
    d = each.difference
    if d is None:
        return "best", ""
    if math.isnan(d.p_value):
        return f"{d.difference:+.4f}", "-"
    star = " *" if each.p_holm < 0.05 else ""
    text = f"{d.difference:+.4f} [{d.low:+.3f}, {d.high:+.3f}]"
    p = "< 0.001" if each.p_holm < 0.001 else number(each.p_holm, 3)
    return text, p + star


def _with_null(estimate: Estimate) -> str:
    null = estimate.null
    return number(estimate.value) + (f" ({number(null.mean)})" if null is not None else "")


def _table(found: Sequence[BeliefFigures]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in HEADER:
        table.add_column(name, justify="left" if name == "belief" else "right")
    for row in _rows(found):
        table.add_row(*row)
    return table


def _as_json(task: TaskBeliefs, found: Sequence[BeliefFigures]) -> dict[str, Any]:
    return {
        "run": task.run,
        "task": task.task,
        "documents": len(task.right),
        "right": int(task.right.sum()),
        "beliefs": {row["belief"]: row for row in _flat(task, found)},
    }


def _flat(task: TaskBeliefs, found: Sequence[BeliefFigures]) -> Iterator[dict[str, Any]]:
    for each in found:
        d, ece = each.difference, each.estimates["ece"]
        row: dict[str, Any] = {"run": task.run, "task": task.task, "belief": each.name}
        for name in RANKING:
            e = each.estimates[name]
            row |= {name: e.value, f"{name}_low": e.low, f"{name}_high": e.high}
        nan = float("nan")
        yield {
            **row,
            "auroc_difference": 0.0 if d is None else d.difference,
            "auroc_difference_low": 0.0 if d is None else d.low,
            "auroc_difference_high": 0.0 if d is None else d.high,
            "p_value": nan if d is None else d.p_value,
            "p_value_holm": each.p_holm,
            "ece": nan if each.plain is None else each.plain.value,
            "ece_mapped": ece.value,
            "ece_mapped_low": ece.low,
            "ece_mapped_high": ece.high,
            "ece_mapped_null": nan if ece.null is None else ece.null.mean,
        }
