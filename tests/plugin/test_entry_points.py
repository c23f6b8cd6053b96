"""The day the harness reads entry points, what we register by hand is left to it."""

from __future__ import annotations

import os
import subprocess
import sys
from types import ModuleType

import lm_eval.models  # noqa: F401
import pytest
from lm_eval.api import registry

from lm_eval_calibration.harness import patches
from lm_eval_calibration.metrics import METRICS
from lm_eval_calibration.models import MODELS
from lm_eval_calibration.plugin import OURS

GROUPS = [f"lm_eval.{kind}" for kind in ("models", "metrics", "aggregations", "filters")]
ALONE = """
import lm_eval.models
from lm_eval.api.registry import get_aggregation, get_filter, get_metric, get_model
for name in {models}: get_model(name)
for name in {metrics}: get_metric(name), get_aggregation(name)
for name in {filters}: get_filter(name)
"""


@pytest.mark.skipif(
    not patches.reads_entry_points(*GROUPS), reason="this harness does not read all entry points"
)
def test_everything_is_found_without_the_start_up_line() -> None:
    names = [f"calib_{name}" for name, metric in METRICS.items() if metric.parameter is None]
    filters = ["verbalized", "inverse_softmax", "resoftmax"]
    code = ALONE.format(models=list(MODELS), metrics=names, filters=filters)
    subprocess.run(
        [sys.executable, "-c", code], check=True,
        env={**os.environ, "LM_EVAL_CALIBRATION_AUTOLOAD": "0"},
    )  # fmt: skip


def test_hand_made_registrations_retire(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(dict[str, object]):
        def register(self, name: str, target: object) -> None:
            raise AssertionError(name)

    monkeypatch.setattr(registry, "load_plugins", lambda *_: [], raising=False)
    monkeypatch.setattr(patches.inspect, "getsource", lambda _: str([f'"{g}"' for g in GROUPS]))
    monkeypatch.setattr(registry, "model_registry", Refusing())
    monkeypatch.setattr(patches.importlib, "import_module", _only_the_registry)
    patches.register_models(ModuleType("lm_eval.models"), OURS)
    patches.register_components(ModuleType("lm_eval.api.metrics"), OURS)


def _only_the_registry(name: str) -> ModuleType:
    assert name == "lm_eval.api.registry"
    return registry
