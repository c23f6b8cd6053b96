"""mkdocs: pages that are not in `docs/`: the benchmarks' own, and those made of `METRICS` and of docstrings."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

import lm_eval_calibration
from lm_eval_calibration import sklearn
from lm_eval_calibration.metrics import proper
from lm_eval_calibration.metrics.catalogue import ACC, DEFAULT_METRICS, METRICS, Metric

PAGE = "benchmarks.md"
REFERENCE = "metric-reference.md"
API = "api.md"
NOT_CALLED = ("METHODS", "METRICS", "__version__")
"""Exports that are tables."""
CALLED = {
    "Calibrator": ("transform", "save_pretrained", "from_pretrained"),
    "Predictions": ("from_options", "from_confidences", "from_scores", "concatenate", "take"),
}
"""Methods that users call."""
DIRECTIONS = {True: "Higher is better", False: "Lower is better", None: "Neither end is good"}


def on_files(files: Files, config: Any) -> Files:
    """Add the page of `benchmarks/`, and the reference of the metrics."""
    source = Path(config.config_file_path).parent / "benchmarks" / "README.md"
    text = source.read_text(encoding="utf-8").replace("](../docs/", "](")
    files.append(File.generated(config, PAGE, content=text))
    files.append(File.generated(config, REFERENCE, content=reference()))
    files.append(File.generated(config, API, content=api()))
    return files


def api() -> str:
    """What `from lm_eval_calibration import ...` gives: signatures and docstrings."""
    head = (
        "# From Python\n\nMade from the package's docstrings: what `from lm_eval_calibration import ...` gives. Beliefs may be "
        "arrays, lists, tensors or columns of data frames, with what was true as `truth`; the examples are run by the suite.\n"
    )
    names = [name for name in lm_eval_calibration.__all__ if name not in NOT_CALLED]
    learn = f"## scikit-learn\n\n```text\n{inspect.getdoc(sklearn)}\n```\n\n{_words('Recalibrator', sklearn.Recalibrator)}\n"
    return "\n".join([head, *(_of_api(name) for name in names), learn])


def _of_api(name: str) -> str:
    found = getattr(lm_eval_calibration, name)
    parts = [f"## `{name}`", _words(name, found)]
    for method in CALLED.get(name, ()):
        parts += [f"### `{name}.{method}`", _words(method, getattr(found, method))]
    return "\n\n".join(parts) + "\n"


def _words(name: str, found: Any) -> str:
    signature = str(inspect.signature(found)).replace("''", '""').replace("'", "")
    return f"```python\n{name}{signature}\n```\n\n```text\n{inspect.getdoc(found)}\n```"


def reference() -> str:
    """Every metric: what it is, where it lies, its options, and its function's own words."""
    head = (
        "# Every metric\n\nMade from the package's table `METRICS`. [The metrics](metrics.md) has the "
        "definitions side by side, the suffixes and the rules for edge cases.\n"
    )
    return "\n".join([head, *(_entry(metric) for metric in (*METRICS.values(), ACC))])


def _entry(metric: Metric) -> str:
    name = metric.name + (f"_<{metric.parameter}>" if metric.parameter else "")
    facts = [DIRECTIONS[metric.higher_is_better], "from {:g} to {:g}".format(*metric.bounds)]
    if metric.name in DEFAULT_METRICS:
        facts.append("reported by default")
    if metric.calibration_error:
        facts.append("0 for a perfectly calibrated model, but for noise: see its `_null`")
    defaults = inspect.signature(metric.function).parameters
    options = [
        f"`{option}`" + ("" if default is inspect.Parameter.empty else f" ({default} by default)")
        for option in metric.options
        for default in [defaults[option].default]
    ]
    lines = [
        f"## `{name}`",
        f"{metric.meaning[0].upper()}{metric.meaning[1:]}.",
        "; ".join(facts) + ".",
    ]
    if options:
        lines.append(f"Options: {', '.join(options)}.")
    # (of a mean the values are what there is to say)
    function = getattr(proper, f"{metric.name}_values", metric.function)
    lines.append(f"```text\n{inspect.getdoc(function)}\n```")
    return "\n\n".join(lines) + "\n"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point to it by its place on the site."""
    return markdown.replace("](../benchmarks/README.md", f"]({PAGE}")
