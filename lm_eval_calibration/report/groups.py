"""Groups of documents by a field, in rows and words, for the page."""

from __future__ import annotations

from typing import NamedTuple

from lm_eval_calibration.analysis.subgroups import FEWEST_OF_A_GROUP, Group, Subgroups
from lm_eval_calibration.metrics.paired import ALPHA
from lm_eval_calibration.report.wording import band, number


class GroupCell(NamedTuple):
    """A figure; of a calibration error with what a calibrated model would score."""

    value: str
    band: str
    differs: bool


class GroupRow(NamedTuple):
    """One group of documents."""

    value: str
    documents: str
    cells: list[GroupCell]


class GroupsView(NamedTuple):
    """A section about the groups of a field."""

    field: str
    metrics: list[str]
    rows: list[GroupRow]
    notes: list[str]


def view(found: Subgroups) -> GroupsView:
    """The section."""
    rows = [_row(group) for group in found.groups]
    return GroupsView(found.field, list(found.groups[0].estimates), rows, notes(found))


def _row(group: Group) -> GroupRow:
    cells = [
        GroupCell(
            number(e.value), band(e.null) if name == "ece" else "", group.p_values[name] < ALPHA
        )
        for name, e in group.estimates.items()
    ]
    return GroupRow(group.value, f"{group.documents:,}", cells)


def notes(found: Subgroups) -> list[str]:
    """What else is to be said of the groups."""
    said = []
    over_all = found.multicalibration
    if over_all is not None:
        said.append(
            f"Multicalibration error, the largest ECE of a group times its share of the documents: "
            f"{number(over_all.value)}, in {over_all.group}; of a calibrated model {band(over_all.null)}."
        )
    if found.small:
        said.append(
            f"{found.left_over:,} documents have values with fewer than {FEWEST_OF_A_GROUP} of them ({found.small:,} values)."
        )
    return said
