"""Our metrics in the harness's registries and in the package's entry points."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest
from lm_eval import evaluate
from lm_eval.api import registry
from lm_eval.api.task import ConfigurableTask
from release import OLD

from lm_eval_calibration.metrics import ece
from lm_eval_calibration.plugin.components import AGGREGATIONS


@pytest.mark.parametrize("group", ["lm_eval.metrics", "lm_eval.aggregations"])
def test_entry_points_name_every_component(group: str) -> None:
    ours = {e.name: e for e in entry_points(group=group) if e.value.startswith("lm_eval_calib")}
    assert set(ours) == set(AGGREGATIONS)
    assert all(callable(e.load()) for e in ours.values())


def test_task_entry_point_is_the_folder_of_yamls() -> None:
    (entry,) = (e for e in entry_points(group="lm_eval.tasks") if e.name == "lm_eval_calibration")
    assert (entry.load()() / "arc.yaml").is_file()


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_registered(name: str) -> None:
    assert registry.get_aggregation(name) is AGGREGATIONS[name]
    if OLD:
        assert registry.get_metric_aggregation(name) is AGGREGATIONS[name]
    else:
        assert registry.metric_registry.get(name).aggregation is AGGREGATIONS[name]
    find = registry.get_metric if OLD else lambda name: registry.metric_registry.get(name).fn
    assert find(name)([1, 2]) == [1, 2]


def test_a_plain_task_may_use_our_aggregation_with_its_own_process_results(
    scripted: Any, tasks: Any
) -> None:
    import datasets

    task = (ConfigurableTask if OLD else ConfigurableTask.from_config)(
        config={
            "task": "plain",
            "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list([{"q": "a"}] * 5)},
            "test_split": "test",
            "output_type": "loglikelihood",
            "doc_to_text": "q",
            "doc_to_target": "b",
            "process_results": lambda doc, results: {"ece": [0.75, 1] if OLD else [[0.75, 1]]},
            "metric_list": [
                {"metric": "ece", "aggregation": "calib_ece", "higher_is_better": False}
            ],
        }
    )
    row = evaluate(lm=scripted(), task_dict={"tasks": {"plain": task}})["results"]["plain"]
    assert row["ece,none"] == ece(np.full(5, 0.75), np.ones(5))
    assert row["ece_stderr,none"] == 0.0
