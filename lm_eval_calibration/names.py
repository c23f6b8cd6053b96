"""A twin's name, and the name of the task it is the twin of."""

from __future__ import annotations

PREFIX = "calib_"
"""`calib_<task>` is the twin of `<task>`."""


def upstream_name(task: str) -> str:
    """The harness's name of a task or its twin.

    >>> upstream_name("calib_arc_easy"), upstream_name("arc_easy")
    ('arc_easy', 'arc_easy')
    """
    return task.removeprefix(PREFIX)
