"""Which release line of the harness the tests run with."""

from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.harness.lines import harness_version

OLD = harness_version().startswith("0.4.")
"""Whether it is of the 0.4 line."""


def only_0_4(why: str) -> pytest.MarkDecorator:
    """Of what is 0.4's own, or broken in the other line's development release."""
    return pytest.mark.skipif(not OLD, reason=f"of 0.4: {why}")


def entries(manager: Any) -> Any:
    """What a task manager knows of each name."""
    return manager.task_index if OLD else manager._task_index


def answers(sample: Any) -> list[Any]:
    """A document's filtered answers, of which 0.5 has a list of its repeats each."""
    found = sample["filtered_resps"]
    return [r[0] if isinstance(r, list) and len(r) == 1 and not OLD else r for r in found]


def with_all_splits(folder: Path, made: Path) -> Path:
    """The data, with the validation split of ARC-Easy that is not there: 0.5 loads all that a task names."""
    arc = Path("allenai") / "ai2_arc"
    (made / arc).mkdir(parents=True)
    for level in (Path(), arc.parent, arc):
        for each in (folder / level).iterdir():
            if not (made / level / each.name).exists() and each.name != "README.md":
                (made / level / each.name).symlink_to(each)
    easy = "  - split: train\n    path: ARC-Easy/train-*\n"
    described = (folder / arc / "README.md").read_text(encoding="utf-8")
    assert easy in described
    more = f"{easy}  - split: validation\n    path: ARC-Easy/train-*\n"
    (made / arc / "README.md").write_text(described.replace(easy, more), encoding="utf-8")
    return made
