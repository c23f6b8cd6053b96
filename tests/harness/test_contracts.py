"""One test per harness internal that we lean on: when it moves, the failure names it."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest
from lm_eval import evaluator_utils
from lm_eval.api import registry
from lm_eval.api.group import Group
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Entry, Kind
from lm_eval.tasks._yaml_loader import load_yaml
from release import only_0_4

from lm_eval_calibration.harness.hooks import harness_version

VERSION = f"lm-eval {harness_version()}"


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(inspect.unwrap(function)).parameters)


@only_0_4("another bridge's contract is `needed`")
def test_stderr_for_metric_is_asked_for_every_aggregation() -> None:
    assert parameters(evaluator_utils.stderr_for_metric) == ["metric", "bootstrap_iters"], VERSION
    source = inspect.getsource(evaluator_utils._compute_task_aggregations)
    assert "stderr_for_metric(" in source, VERSION
    assert "task.aggregation()[metric]" in source, VERSION


def test_task_manager() -> None:
    assert parameters(TaskManager.__init__)[1:] == [
        "verbosity", "include_path", "include_defaults", "metadata",
    ], VERSION  # fmt: skip
    assert parameters(TaskManager.match_tasks) == ["self", "task_list"], VERSION
    source = inspect.getsource(TaskManager._load_spec) + inspect.getsource(TaskManager._entry)
    assert "self._index" in source, VERSION


def test_index_entries() -> None:
    assert [f.name for f in fields(Entry)] == ["name", "kind", "yaml_path", "cfg", "tags"], VERSION
    assert {k.name for k in Kind} >= {"TASK", "PY_TASK", "GROUP", "TAG"}, VERSION
    assert {"path", "resolve_func"} <= set(parameters(load_yaml)), VERSION


def test_group() -> None:
    assert parameters(Group.aggregate) == ["self", "task_metrics"], VERSION
    assert parameters(Group.get_all_tasks) == ["self", "recursive"], VERSION


@only_0_4("another bridge's contract is `needed`")
def test_configurable_task() -> None:
    expected = ["self", "data_dir", "cache_dir", "download_mode", "config"]
    assert parameters(ConfigurableTask.__init__) == expected, VERSION
    source = inspect.getsource(ConfigurableTask)
    for name in ("_metric_fn_list", "multiple_input", "override_metric", "process_results"):
        assert name in source or hasattr(ConfigurableTask, name), f"{VERSION}: {name}"


def test_python_tasks_are_made_from_their_class_key() -> None:
    from lm_eval.tasks import _factory

    assert 'cfg["class"]' in inspect.getsource(_factory.TaskFactory._build_task), VERSION


@pytest.mark.parametrize(
    "name", ["aggregation_registry", "metric_registry", "higher_is_better_registry"]
)
@only_0_4("another bridge's contract is `needed`")
def test_registries(name: str) -> None:
    assert "calib_ece" in getattr(registry, name), VERSION


def test_models() -> None:
    from lm_eval.models.huggingface import HFLM

    assert parameters(HFLM._loglikelihood_tokens) == [
        "self", "requests", "disable_tqdm", "override_bs",
    ], VERSION  # fmt: skip
    source = inspect.getsource(HFLM._loglikelihood_tokens)
    for name in ("self.softmax_dtype", "self.batch_size", "self.cache_hook", "self.max_length"):
        assert name in source, f"{name}: {VERSION}"
    assert "hf-fast" in registry.model_registry, VERSION


def test_the_cache_of_answers() -> None:
    """`--use_cache`: what is past it, and where it keeps what."""
    from lm_eval.api.model import CacheHook, CachingLM, hash_args

    assert getattr(CachingLM, "hands_over_all", False), VERSION
    source = inspect.getsource(inspect.unwrap(CachingLM.__getattr__))
    for line in ("getattr(self.lm, attr)", "hash_args(attr, req.args)", "self.dbdict[hsh] = r"):
        assert line in source, f"{line}: {VERSION}"
    assert "self.dbdict[hsh] = res" in inspect.getsource(CacheHook.add_partial), VERSION
    assert "autocommit=True" in inspect.getsource(CachingLM.__init__), VERSION
    assert parameters(hash_args) == ["attr", "args"], VERSION


def test_declared_models_are_those_that_the_hook_registers() -> None:
    from importlib.metadata import entry_points

    from lm_eval_calibration.models import MODELS

    declared = {e.name: e.value for e in entry_points(group="lm_eval.models")}
    assert MODELS.items() <= declared.items()


def test_caching() -> None:
    """A wrapper keeps its replies itself, in a table beside the harness's."""
    from lm_eval.api import model

    assert parameters(model.CachingLM.__init__) == ["self", "lm", "cache_db"], VERSION
    original = inspect.getsource(inspect.unwrap(model.CachingLM.__init__))
    assert "self.dbdict = SqliteDict(cache_db, autocommit=True)" in original, VERSION
    source = inspect.getsource(model.CachingLM.__getattr__)
    for used in ("in self.dbdict", "self.dbdict[hsh] = r", "self.dbdict.commit()"):
        assert used in source, VERSION
    assert model.CachingLM.__init__._lm_eval_calibration, VERSION


@only_0_4("another bridge's contract is `needed`")
def test_replies_of_servers() -> None:
    """They are counted and read before the harness's classes see them."""
    pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
    from lm_eval.models.api_models import TemplateAPI
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

    assert {"messages", "ctxlens"} <= set(parameters(TemplateAPI.amodel_call)), VERSION
    assert "messages" in parameters(TemplateAPI.model_call), VERSION
    for source in map(inspect.getsource, (TemplateAPI.amodel_call, TemplateAPI.generate_until)):
        assert "self.parse_generations(" in source, VERSION
    assert parameters(LocalCompletionsAPI.parse_logprobs)[:3] == [
        "outputs", "tokens", "ctxlens",
    ], VERSION  # fmt: skip
    assert parameters(LocalChatCompletion.parse_generations) == ["self", "outputs", "kwargs"], (
        VERSION
    )
