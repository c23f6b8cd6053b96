"""`reproducible=true` in whole evaluations: by wrappers, at other limits, with other tasks, resumed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.api.registry import get_model
from release import answers

from lm_eval_calibration.calibrators.calibrator import fit
from lm_eval_calibration.predictions import Predictions

OPTIONS, ANSWERS = "calib_toy_norm", "calib_toy_generate"
WRAPPERS: dict[str, tuple[str, dict[str, Any]]] = {
    "hf-fast": (OPTIONS, {}),
    "calibrated": (OPTIONS, {"base": "hf-fast"}),
    "option_tokens": (OPTIONS, {"base": "hf-fast"}),
    "p_true": (ANSWERS, {"base": "hf-fast"}),
    "self_consistency": (ANSWERS, {"base": "hf-fast", "candidates": 3}),
}
Evaluated = Callable[..., dict[str, list[Any]]]


@pytest.fixture
def evaluated(tiny_model: Path, tasks: Any, tmp_path: Path) -> Evaluated:
    """Each task's answers and what is said of them, document by document."""

    def run(
        name: str, names: list[str], limit: int, size: int = 1, cache: str | None = None
    ) -> dict[str, list[Any]]:
        more = dict(WRAPPERS[name][1])
        if name == "calibrated":
            more["calibrator"] = recalibrator(tmp_path / "calibrator")
        lm = get_model(name)(
            pretrained=str(tiny_model), device="cpu", dtype="bfloat16", batch_size=size,
            reproducible=True, **more,
        )  # fmt: skip
        found = simple_evaluate(
            model=lm, tasks=names, task_manager=tasks, limit=limit, bootstrap_iters=0,
            gen_kwargs={"max_gen_toks": 6}, use_cache=cache,
        )  # fmt: skip
        assert "fingerprint" in str(found["config"]), found["config"]
        return {task: [answers(s) for s in samples] for task, samples in found["samples"].items()}

    return run


def recalibrator(folder: Path) -> str:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, 4))
    beliefs = Predictions.from_options(list(logits), list(rng.integers(0, 4, 200)))
    fit("temperature", beliefs).save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("name", WRAPPERS)
def test_of_other_runs(evaluated: Evaluated, name: str) -> None:
    """Fewer documents alone, in batches of another size, and more of them beside another task."""
    (task, _), other = WRAPPERS[name], "calib_toy_several"
    many = evaluated(name, [task, other] if task == OPTIONS else [task], 9, size=4)[task]
    assert evaluated(name, [task], 3)[task] == many[:3]


@pytest.mark.parametrize("name", ["hf-fast", "self_consistency"])
def test_of_a_run_that_goes_on(evaluated: Evaluated, name: str, tmp_path: Path) -> None:
    """`--use_cache`: some answers are of a run before."""
    (task, _), cache = WRAPPERS[name], str(tmp_path / "cache")
    fresh = evaluated(name, [task], 7)[task]
    assert evaluated(name, [task], 4, cache=cache)[task] == fresh[:4]
    assert evaluated(name, [task], 7, size=4, cache=cache)[task] == fresh
