"""The feature store: what was written comes back; what is damaged is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features, FeatureStore, Key
from lm_eval_calibration.features.table import check

KEY = Key("model", "main", "bfloat16", "mmlu::law", "test", "prompts")


def features() -> Features:
    return Features(
        "mmlu::law",
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.array([[-1.0, -2.0, -np.inf], [-1.0, -2.0, -3.0]]),
        np.array([2, 3], dtype=np.intp),
        np.array([[True, False, False], [False, False, True]]),
        np.array([5, 2**63 + 1], dtype=np.uint64),
    )


def test_there_and_back(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, features())
    again = store.get(KEY)
    assert again is not None and again.task == "mmlu::law"
    for name in ("hidden", "logits", "num_options", "gold", "documents"):
        assert np.array_equal(getattr(again, name), getattr(features(), name))
    ((key, listed),) = store.stored()
    assert key == KEY and np.array_equal(listed.hidden, again.hidden)
    assert [p.suffix for p in tmp_path.rglob("*") if p.is_file()] == [".safetensors"]


@pytest.mark.parametrize("part", ["model", "revision", "dtype", "task", "split", "prompts"])
def test_anything_else_is_another_part(tmp_path: Path, part: str) -> None:
    store = FeatureStore(tmp_path)
    store.put(KEY, features())
    assert store.get(replace(KEY, **{part: "other"})) is None


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(KEY, features())
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InvalidInputError, match=f"{path.name}.*Delete it to have it made anew"):
        store.get(KEY)


def test_names_do_not_leave_the_folder(tmp_path: Path) -> None:
    path = FeatureStore(tmp_path).path(replace(KEY, task="../../x", split="../y"))
    assert tmp_path in path.resolve().parents


def test_parts_are_joined() -> None:
    narrow = features().take(np.array([0]))
    narrow = replace(narrow, logits=narrow.logits[:, :2], gold=narrow.gold[:, :2])
    both = Features.concatenate([narrow, features()])
    assert both.logits.shape == (3, 3) and both.logits[0, 2] == -np.inf
    assert len(both.predictions) == 3


def test_nan_is_named() -> None:
    bad = replace(features(), hidden=np.array([[0, 0, 0], [0, np.inf, 0]], dtype=np.float32))
    with pytest.raises(InvalidInputError, match="in task `mmlu::law`, document 8000000000000001"):
        check(bad)


@pytest.mark.parametrize("task", ["..", "../../x", "/etc/x", ".", "a/../../b", "..\\x"])
def test_no_task_leads_out_of_the_folder(task: str, tmp_path: Path) -> None:
    path = FeatureStore(tmp_path).path(replace(KEY, task=task, split="../y"))
    assert path.parent.parent == tmp_path and ".." not in path.parts
