"""A run's figures in the `model-index` of a hub model card.

Source: huggingface_hub's `EvalResult` and hub-docs, modelcard.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lm_eval_calibration.analysis.scores import Scored
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.exports.origin import dataset, origin
from lm_eval_calibration.files import MODEL_CARD, write_text
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.names import upstream_name

KEY = "model-index"
_HEAD = re.compile(
    r"\A(?:\ufeff)?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
_BLOCK = re.compile(r"^model-index[ \t]*:.*\r?\n(?:(?:[ \t-].*|[ \t]*)(?:\r?\n|\Z))*", re.MULTILINE)


def model_index(run: Run, scored: Sequence[Scored]) -> list[dict[str, Any]]:
    """The `model-index` of a run: of each task every metric, with its 95 % interval.

    Args:
        run: that was scored.
        scored: its tasks; figures that are undefined or infinite are left out.
    """
    from huggingface_hub.repocard_data import eval_results_to_model_index

    name, found = origin(run).model.rpartition("/")[2] or _of_file(run), []
    for s in scored:
        if results := _eval_results(run, s):
            # (one by one: the hub's own merges tasks that were made of the same data)
            found += eval_results_to_model_index(name, results)[0]["results"]
    return [{"name": name, "results": found}]


def _of_file(run: Run) -> str:
    """What a run that names no model is called by."""
    return next((s.path.stem for s in run.samples.values()), "")


def _eval_results(run: Run, s: Scored) -> list[Any]:
    from huggingface_hub import EvalResult

    task = upstream_name(s.scope.name) or s.scope.label(several_runs=False)
    of = dataset(run, task)
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=of.repository or task,
            dataset_name=task,
            dataset_config=of.configuration,
            dataset_split=of.split,
            dataset_revision=of.revision,
            metric_type={"acc": "accuracy"}.get(name, name),
            metric_name=name,
            metric_value=e.value,
            metric_args=_arguments(e, len(s.scope.predictions)),
        )
        for name, e in s.estimates.items()
        if math.isfinite(e.value)
    ]


def _arguments(e: Estimate, documents: int) -> dict[str, Any]:
    known = math.isfinite(e.low) and math.isfinite(e.high)
    return {"documents": documents, **({"interval_95": [e.low, e.high]} if known else {})}


def as_yaml(index: Sequence[Mapping[str, Any]]) -> str:
    """The block as it stands in a card's head."""
    from huggingface_hub.utils import yaml_dump

    return yaml_dump({KEY: list(index)})


def add_to_card(path: Path, index: Sequence[Mapping[str, Any]]) -> None:
    """Put figures into a card's head; all else in the file stays as it is.

    Figures of the same tasks and metrics that stand there are replaced; other people's stay.

    Raises:
        InvalidInputError: no UTF-8, a head that cannot be read, or one in which the block is written
            in a way that leaves no room.
        OutputError: the file cannot be written to.
    """
    try:
        text = path.read_bytes().decode("utf-8") if path.exists() else ""
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"`{path}` is not UTF-8 ({error.reason} at byte {error.start})."
        ) from None
    head = _HEAD.match(text)
    before, rest = (head[1], text[head.end() :]) if head else ("", text)
    old = _loaded(path, before)
    newline = "\r\n" if "\r\n" in before else "\n"
    block = as_yaml(merged(old.get(KEY), index, path)).replace("\n", newline)
    others = _BLOCK.sub("", before)
    if others and not others.endswith("\n"):
        others += newline
    after = others + block
    if _others(after) != _others(before):
        raise InvalidInputError(
            f"The head of `{path}` is written in a way that {KEY} cannot be added to: add it by hand, "
            "as `lm-calib card RUN` prints it."
        )
    rule = f"---{newline}"
    write_text(path, f"{rule}{after}{rule}{rest}", MODEL_CARD, overwrite=True)


def _others(head: str) -> Any:
    """All that a head says beside the block; what cannot be read says nothing that could be the same."""
    try:
        return {k: v for k, v in (yaml.safe_load(head) or {}).items() if k != KEY}
    except yaml.YAMLError:
        return None


def merged(old: Any, new: Sequence[Mapping[str, Any]], path: Path) -> list[dict[str, Any]]:
    """The figures that a card has, with new ones in the place of those of the same task and metric."""
    if old is None:
        return [dict(index) for index in new]
    mine = new[0]
    try:
        kept = [dict(index) for index in old]
        same = next((index for index in kept if index["name"] == mine["name"]), None)
        if same is None:
            return [*kept, dict(mine)]
        same["results"] = _without(same["results"], mine["results"]) + mine["results"]
    except (TypeError, KeyError, AttributeError, ValueError):
        raise InvalidInputError(
            f"The {KEY} of `{path}` is not as the hub has it: mend or remove it."
        ) from None
    return kept


def _without(
    results: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    replaced = {
        (_key(r["dataset"]), m.get("name", m["type"])) for r in new for m in r["metrics"]
    }  # fmt: skip
    found = []
    for result in results:
        key = _key(result["dataset"])
        metrics = [m for m in result["metrics"] if (key, m.get("name", m["type"])) not in replaced]
        if metrics:
            found.append({**result, "metrics": metrics})
    return found


def _key(dataset: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(dataset.get(name) for name in ("type", "name", "config", "split"))


def _loaded(path: Path, head: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(head) or {}
    except yaml.YAMLError as error:
        raise InvalidInputError(f"The head of `{path}` is not YAML: {error}.") from None
    if not isinstance(found, dict):
        raise InvalidInputError(f"The head of `{path}` holds no names with values.")
    return found
