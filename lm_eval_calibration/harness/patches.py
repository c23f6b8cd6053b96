"""Every change to the harness's behaviour: one function each, and what would make it needless.

`hooks.PATCHES` says on which module each is called. All are idempotent.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from lm_eval_calibration.harness.lines import bridge
from lm_eval_calibration.harness.plugin import Plugin
from lm_eval_calibration.harness.requests import KINDS, RECORD
from lm_eval_calibration.names import PREFIX

_MARK = "_lm_eval_calibration"


def reads_entry_points(*groups: str) -> bool:
    """Whether the harness finds what is installed under these groups of entry points itself."""
    registry = importlib.import_module("lm_eval.api.registry")
    source = inspect.getsource(registry) if hasattr(registry, "load_plugins") else ""
    return all(f'"{group}"' in source for group in groups)


def register_components(module: ModuleType, plugin: Plugin) -> None:
    """Make our metrics and aggregations known by prefixed names, e.g. `aggregation: calib_ece`.

    Nothing is done where the harness reads the `lm_eval.metrics`, `lm_eval.aggregations` and
    `lm_eval.filters` entry points (pull request 4014, merged after 0.4.13).
    """
    if reads_entry_points("lm_eval.metrics", "lm_eval.aggregations", "lm_eval.filters"):
        return
    from lm_eval_calibration.harness.registering import register

    try:
        aggregations, filters = plugin.aggregations(), plugin.filters()
    except ImportError as error:
        if "partially initialized" not in str(error):
            raise
        return  # (it is one of ours whose import brought us here; the index of tasks is patched later)
    register(aggregations, filters)


def register_models(models_module: ModuleType, plugin: Plugin) -> None:
    """Make our models known by name; their classes are imported when one is asked for.

    Nothing is done where the harness reads the `lm_eval.models` entry points (pull request 4013,
    merged after 0.4.13).
    """
    if reads_entry_points("lm_eval.models"):
        return
    from lm_eval.api.registry import model_registry

    for name, target in plugin.models.items():
        if name not in model_registry:
            model_registry.register(name, target=target)


def patch_stderr_for_metric(evaluator_utils: ModuleType, plugin: Plugin) -> None:
    """Let an aggregation with a `stderr` method state its own standard error.

    The harness knows error bars for a closed list of functions; all others get "N/A". Needless
    once an aggregation may bring its own (asked for in issue 2950).
    """
    original = getattr(evaluator_utils, "stderr_for_metric", None)
    if original is None or getattr(original, _MARK, False):
        return  # (each release line keeps it elsewhere)

    @functools.wraps(original)
    def stderr_for_metric(metric: Any, bootstrap_iters: int) -> Any:
        if bootstrap_iters > 0 and hasattr(metric, "stderr"):
            return functools.partial(metric.stderr, replicates=bootstrap_iters)
        return original(metric=metric, bootstrap_iters=bootstrap_iters)

    setattr(stderr_for_metric, _MARK, True)
    evaluator_utils.stderr_for_metric = stderr_for_metric  # type: ignore[attr-defined]


def patch_simple_evaluate(evaluator: ModuleType, plugin: Plugin) -> None:
    """Refuse, before the model is loaded, what it cannot answer or was not calibrated for.

    Generation twins of a model that states no confidence: needless once a task may say what it
    needs of a model. Prompts for which a calibrator was not fitted: needless once a model is told of
    a run's prompts.
    """
    original = evaluator.simple_evaluate
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def simple_evaluate(*args: Any, **kwargs: Any) -> Any:
        from lm_eval_calibration.harness import preparing
        from lm_eval_calibration.harness.loading import loading, refuse_lost
        from lm_eval_calibration.harness.naming import model_class, refuse_unknown_tasks

        bound = inspect.signature(original).bind(*args, **kwargs)
        bound.apply_defaults()
        call, model = bound.arguments, bound.arguments["model"]
        refuse_unknown_tasks(call["tasks"], call["task_manager"])
        known = model_class(model) if isinstance(model, str) else type(model)
        if not _concerns_us(call["tasks"], known, call["task_manager"]):
            return original(*args, **kwargs)
        bridge()  # (refuses a harness that cannot be used before a model is loaded)
        call["task_manager"] = call["task_manager"] or preparing.manager_of(call)
        refuse_unknown_tasks(call["tasks"], call["task_manager"])
        preparing.check_output(call["evaluation_tracker"])
        given = preparing.arguments_of(call)
        refuse_lost(given)
        plugin.before_tasks(call, known)
        tasks = preparing.prepare(call) if isinstance(model, str) else {}
        with plugin.before_loading(call, tasks), loading(given):
            return original(**call)

    setattr(simple_evaluate, _MARK, True)
    evaluator.simple_evaluate = simple_evaluate  # type: ignore[attr-defined]


def _concerns_us(tasks: Any, model: type, manager: Any) -> bool:
    """Whether a run asks for something of ours, or may: a task of a file, or of a class, is read to know."""
    ours = model.__module__.startswith("lm_eval_calibration.")
    named = [name for name in tasks or () if isinstance(name, str)]
    index = getattr(manager, "_index", None) or {}
    kinds = {getattr(index[name].kind, "name", "") for name in named if name in index}
    of_file = len(named) < len(tasks or ())
    return ours or of_file or "PY_TASK" in kinds or any(n.startswith(PREFIX) for n in named)


def patch_evaluate(evaluator: ModuleType, plugin: Plugin) -> None:
    """Tell models how a run's prompts are made, and keep that and the weights' fingerprint in results.

    Needless once a model is told of a run's prompts, and results say which weights were loaded.
    """
    original = evaluator.evaluate
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def evaluate(*args: Any, **kwargs: Any) -> Any:
        call = inspect.signature(original).bind(*args, **kwargs).arguments
        with plugin.during(call) as record:
            results = original(*args, **kwargs)
        if results is not None:
            results[RECORD] = record()
        return results

    setattr(evaluate, _MARK, True)
    evaluator.evaluate = evaluate  # type: ignore[attr-defined]


def patch_group_aggregate(group_module: ModuleType, plugin: Plugin) -> None:
    """Give groups that contain twins their calibration rows.

    `aggregate_metric_list` has one key per metric, so a size-weighted and a plain mean cannot
    both be asked for. Needless once it has an alias per entry.
    """
    group_class = group_module.Group
    original = group_class.aggregate
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def aggregate(self: Any, task_metrics: dict[str, Any]) -> Any:
        upstream = original(self, task_metrics)
        return {**plugin.group_rows(self.name, self.get_all_tasks(), task_metrics), **upstream}

    setattr(aggregate, _MARK, True)
    group_class.aggregate = aggregate


def patch_caching_lm(model_module: ModuleType, plugin: Plugin) -> None:
    """Hand all requests to a model that keeps its answers in the harness's cache itself.

    `--use_cache` hands over only requests that are not in the cache; a model whose `keeps` names
    a kind of request needs them all, for what it says of one depends on others. Needless once a
    model may say so to the harness.
    """
    caching = model_module.CachingLM
    if getattr(caching, "hands_over_all", False):
        return
    original = caching.__getattr__

    @functools.wraps(original)
    def getattr_past_the_cache(self: Any, attr: str) -> Any:
        model = self.__dict__["lm"]
        if attr in getattr(type(model), "keeps", ()):
            return getattr(model, attr)
        found = original(self, attr)
        reading = getattr(self.__dict__.get("dbdict"), "reading", None)
        return reading(attr, found) if reading is not None and attr in KINDS else found

    caching.__getattr__ = getattr_past_the_cache
    caching.hands_over_all = True


def patch_task_manager(manager_module: ModuleType, plugin: Plugin) -> None:
    """Add our task folder and the lookup of `calib_<task>` to the harness's task index.

    Needless once the harness reads `lm_eval.tasks` entry points that may name a whole index
    (pull request 4015, open).
    """
    from lm_eval_calibration.harness.preparing import handing_over

    manager_class = manager_module.TaskManager
    init, match_tasks = manager_class.__init__, manager_class.match_tasks
    if getattr(init, _MARK, False):
        return

    @functools.wraps(init)
    def init_with_twins(self: Any, *args: Any, **kwargs: Any) -> None:
        from lm_eval_calibration.harness.index import TwinIndex

        register_components(manager_module, plugin)
        call = inspect.signature(init).bind(self, *args, **kwargs)
        call.apply_defaults()
        theirs = call.arguments["include_path"]
        if call.arguments["include_defaults"]:
            call.arguments["include_path"] = _with_ours(plugin.task_folder, theirs)
        init(*call.args, **call.kwargs)
        self.include_path = theirs
        self._index = TwinIndex(self._index, plugin.twin_class)

    @functools.wraps(match_tasks)
    def match_with_twins(self: Any, task_list: list[str]) -> list[str]:
        from lm_eval_calibration.harness.index import twin_names

        theirs, ours = match_tasks(self, task_list), twin_names(task_list, self._index)
        # (0.5 gives a pattern that matches nothing of its own as it is)
        patterns = {p for p in task_list if p not in self._index and twin_names([p], self._index)}
        return sorted({*theirs, *ours} - patterns)

    setattr(init_with_twins, _MARK, True)
    manager_class.__init__ = init_with_twins
    manager_class.match_tasks = match_with_twins
    manager_class.load = handing_over(manager_class.load)


def patch_caching(model_module: ModuleType, plugin: Plugin) -> None:
    """Let a wrapper keep what its base says itself, and read caches with care.

    A bad cache file is told before any work; of a good one, models of ours read answers and run nothing.

    The harness keeps a wrapper's finished answers under their prompts alone, whatever the settings
    were, with all replies for each option. Needless once a model may bring a cache of its own.
    """
    caching = model_module.CachingLM
    init = caching.__init__
    if getattr(init, _MARK, False):
        return

    @functools.wraps(init)
    def init_with_care(self: Any, lm: Any, cache_db: str) -> None:
        plugin.check_cache(Path(cache_db))
        init(self, lm, cache_db)
        rows, self.dbdict = self.dbdict, plugin.cache(lm, self.dbdict)
        reads = self.dbdict is not rows and hasattr(self.dbdict, "filename")
        if reads and not getattr(type(lm), "keeps", ()):
            lm.set_cache_hook(self.get_cache_hook())  # (the model reports to it, too)

    setattr(init_with_care, _MARK, True)
    caching.__init__ = init_with_care


def _with_ours(ours: Path, include_path: Any) -> list[Any]:
    """The include paths with our folder first, so that a user's task of the same name wins."""
    if include_path is None:
        theirs = []
    else:
        theirs = list(include_path) if isinstance(include_path, (list, tuple)) else [include_path]
    return theirs if any(Path(p).resolve() == ours for p in theirs) else [ours, *theirs]
