"""Made tasks of every shape that the harness's YAML allows, run by the harness itself and logged by it."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import lm_eval.evaluator
from hypothesis import assume
from hypothesis import strategies as st
from lm_eval.api.group import Group
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from release import OLD

from lm_eval_calibration import CalibrationTask
from lm_eval_calibration.harness.lines import harness_version

REPLICATES = 10
VERDICTS = ("acc", "acc_norm", "acc_bytes", *(["acc_mutual_info"] if OLD else []))
"""(0.5.0.dev1 takes the last of them with no delimiter alone)"""
GOLDS = ("index", "index in a template", "text", "text in a template", "list", "list in a template",
         "index by a function", "text by a function")  # fmt: skip
WORDS = st.sampled_from(
    [
        "A",
        "B",
        "yes",
        "no",
        "it is so",
        "naïve café",
        "是的",
        "нет",
        "🙂",
        "0",
        "1",
        "2",
        "[0]",
        "Ω ω",
        "yesterday",
    ]
)
OPTION = st.builds("".join, st.tuples(st.sampled_from(["", "", " ", "\n"]), WORDS))
SCORE = st.sampled_from([-0.25, -0.5, -1.0, -2.0, -3.0, -5.5, -9.0]) | st.floats(-30, 0).map(
    lambda value: round(value, 9)
)


@dataclass(frozen=True)
class MadeTask:
    """A task's documents and configuration; the first document is also its example in few-shot prompts."""

    name: str
    rows: list[dict[str, Any]]
    config: dict[str, Any]

    @property
    def in_context(self) -> bool:
        """Whether the options stand in the context, before one continuation (Winogrande)."""
        return self.config["doc_to_target"] == "so it goes on"

    @functools.cached_property
    def data(self) -> dict[str, Any]:
        """Its splits."""
        found = datasets.Dataset.from_list(self.rows)
        return {"test": found, "train": found.select([0])}

    def configured(self, kind: type | None, prefix: str = "") -> dict[str, Any]:
        """The configuration of the task, or of its twin by its class."""
        splits = self.data

        def data(**_: Any) -> dict[str, Any]:
            return dict(splits)

        named = {**self.config, "task": prefix + self.name, "custom_dataset": data}
        return named if kind is None else {**named, "class": kind}

    def built(self, kind: type, prefix: str = "") -> Any:
        """The task, or its twin."""
        return kind(config=self.configured(None, prefix))


@dataclass(frozen=True)
class MadeRun:
    """Tasks, trees of groups over them (a name, its `aggregate_metric_list`, its members), and a chat template."""

    tasks: list[MadeTask]
    groups: list[Any]
    chat: bool


class Stub(LM):
    """A model whose log-likelihoods stand in the documents."""

    tokenizer_name = "stub"

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        found = []
        for request in requests:
            scores = request.doc["scores"]
            again = request.idx >= len(scores)
            of = request.doc["alone"] if again else scores
            found.append((of[request.idx % len(scores)], False))
        return found

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError

    def apply_chat_template(self, history: Any, add_generation_prompt: bool = True) -> str:
        turns = "".join(f"<{turn['role']}>{turn['content']}" for turn in history)
        return turns + "<assistant>" * add_generation_prompt

    def chat_template(self, chat_template: Any = False) -> str:
        return "a template" if chat_template else ""


def likely(seldom: Any, often: Any) -> Any:
    """One of two strategies, the second three times as often."""
    return st.one_of(often, often, often, seldom)


@st.composite
def rows_of(
    draw: st.DrawFn, inputs: bool, gold: str, fixed: list[str] | None
) -> list[dict[str, Any]]:
    """Documents; the first has a right option, from which the harness tells what kind of task it is."""
    rows = []
    for i in range(draw(st.integers(1, 7))):
        options = fixed or draw(
            st.lists(OPTION, min_size=2, max_size=4, unique=inputs or draw(st.booleans()))
        )
        count = len(options)
        scores = draw(st.lists(likely(st.just(-math.inf), SCORE), min_size=count, max_size=count))
        if max(scores) == -math.inf:
            scores[draw(st.integers(0, count - 1))] = -1.0
        right = draw(st.integers(0, count - 1))
        text = options[right]
        # (the harness takes a template's number for an index and its list for several, and fails on these)
        assume(gold != "text in a template" or not (text[0] == "[" or (i == 0 and text.isdigit())))
        keyless = OLD and i > 0 and draw(st.integers(0, 5)) == 0  # (0.5 leaves these out)
        rows.append({
            "id": i, "question": f"Which of {i}?", "options": options, "scores": scores,
            "alone": draw(st.lists(SCORE, min_size=count, max_size=count)),
            "key": draw(keys(gold, options, right, keyless)),
        })  # fmt: skip
    return rows


def keys(gold: str, options: list[str], right: int, keyless: bool) -> Any:
    """What a document's answer key holds."""
    if gold.startswith("index"):
        return st.just(9 if keyless else right)
    if gold.startswith("text"):
        return st.just("none of these" if keyless else options[right])
    if keyless:
        return st.sampled_from([[], [9]])
    return st.lists(st.integers(0, len(options) - 1), max_size=2, unique=True).map(
        lambda more: [right, *[m for m in more if m != right]]
    )


TARGETS = {
    "index": "key",
    "index in a template": "{{key}}",
    "text": "key",
    "text in a template": "{{key}}",
    "list": "key",
    "list in a template": "{{key}}",
    "index by a function": lambda doc: doc["key"],
    "text by a function": lambda doc: doc["key"],
}


@st.composite
def made_tasks(draw: st.DrawFn, name: str) -> MadeTask:
    """A multiple-choice task."""
    inputs = OLD and draw(likely(st.just(True), st.just(False)))  # (0.5 lists them as contexts)
    gold = draw(st.sampled_from(GOLDS[:2] if inputs else GOLDS))
    letters = [f"{a}{draw(WORDS)}" for a in draw(st.sampled_from(["AB", "ABC"]))]
    fixed = draw(likely(st.just(letters), st.none()))
    rows = draw(rows_of(inputs, gold, fixed))
    several = gold.startswith(("list", "text"))
    verdicts = draw(
        st.lists(st.sampled_from(VERDICTS[1:3] if several else VERDICTS[1:]), unique=True)
    )
    if not verdicts or gold.endswith("function") or draw(st.integers(0, 7)):
        verdicts = ["acc", *verdicts]
    how = draw(st.sampled_from(["field", "field", "function"]))
    choices: Any = "options" if how == "field" else (lambda doc: doc["options"])
    target = TARGETS[gold]
    delimiter = draw(st.sampled_from(["", " ", " ", "\n", ": "]))
    config: dict[str, Any] = {
        "test_split": "test", "fewshot_split": "train", "output_type": "multiple_choice",
        "doc_to_text": target if inputs else "{{question}}\nAnswer:",
        "doc_to_choice": fixed if fixed and draw(st.booleans()) else choices,
        "doc_to_target": "so it goes on" if inputs else target,
        "target_delimiter": delimiter,
        "num_fewshot": draw(st.sampled_from([0, 0, 1])) if len(rows) > 2 else 0,
        "metric_list": [
            {"metric": v, "aggregation": "mean", "higher_is_better": True} for v in verdicts
        ],
    }  # fmt: skip
    if draw(st.integers(0, 4)) == 0:
        config["description"] = "Choose.\n"
    if draw(st.integers(0, 3)) == 0:
        config["gen_prefix"] = draw(st.sampled_from(["Answer:", "Answer: "]))
    if gold.startswith("list") and not OLD:
        config["multiple_targets"] = True
    if not gold.startswith("index") or inputs:
        config["fewshot_config"] = {"doc_to_target": "so it was"}
    return MadeTask(name, rows, config)


@st.composite
def trees(draw: st.DrawFn, name: str, leaves: list[str], depth: int = 2) -> Any:
    """A group: its name, what it aggregates, and its members, some of which may be groups."""
    metric = st.sampled_from(["acc", "acc", "acc_norm", "acc_bytes", "ece", "nll"])
    asked = draw(st.lists(metric, max_size=3, unique=True))
    listed = [
        {"metric": m, "weight_by_size": draw(st.booleans())}
        | ({"filter_list": "none"} if draw(st.booleans()) else {})
        for m in asked
    ]
    members: list[Any] = draw(st.lists(st.sampled_from(leaves), min_size=1, unique=True))
    if depth and draw(st.booleans()):
        inner = [
            draw(trees(f"{name}{i}", leaves, depth - 1)) for i in range(draw(st.integers(1, 2)))
        ]
        members = draw(st.permutations([*members, *inner]))
    aggregate: Any = listed or draw(st.sampled_from([None, []]))
    return name, (listed[0] if len(listed) == 1 and draw(st.booleans()) else aggregate), members


@st.composite
def made_runs(draw: st.DrawFn) -> MadeRun:
    """What a person may run at once."""
    names = [f"t{i}" for i in range(draw(st.sampled_from([1, 1, 2, 3])))]
    tasks = [draw(made_tasks(name)) for name in names]
    # (0.5 makes members that are defined in a group of its own classes)
    groups = [draw(trees("g", names))] if OLD and draw(st.booleans()) else []
    return MadeRun(tasks, groups, draw(likely(st.just(True), st.just(False))))


class Live(NamedTuple):
    """What `lm_eval` prints, by task and group; and of how many documents the answer key names no option."""

    rows: dict[str, Any]
    keyless: dict[str, int]


def run_and_log(made: MadeRun, folder: Path, manager: TaskManager) -> Live:
    """Run the tasks and their twins, each in their groups, and leave the harness's files in a folder."""
    lm = Stub()
    loaded = manager.load(_asked(made) if OLD else _asked_of_0_5(made))
    results = lm_eval.evaluator.evaluate(
        lm=lm, task_dict=loaded, bootstrap_iters=REPLICATES, apply_chat_template=made.chat
    )
    assert results is not None
    results["lm_eval_version"] = harness_version()  # (as `simple_evaluate` has it)
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args(
        model_source="CUSTOM", model_args="", system_instruction=None,
        chat_template=lm.chat_template(True) if made.chat else None, fewshot_as_multiturn=False,
    )  # fmt: skip
    keyless = {name: sum(s.get("nll", 0.0) is None for s in of) for name, of in samples.items()}
    live = Live(results["results"], keyless)
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, logged in samples.items():
        tracker.save_results_samples(task_name=name, samples=logged)
    return live


def _asked(made: MadeRun) -> list[Any]:
    """Tasks and groups, made."""
    asked = []
    for kind, prefix in ((ConfigurableTask, ""), (CalibrationTask, "calib_")):
        built = {task.name: task.built(kind, prefix) for task in made.tasks}
        grouped = [_group(tree, built, prefix) for tree in made.groups]
        inside = {task.task_name for group in grouped for task in group.get_all_tasks()}
        asked += [*grouped, *(task for task in built.values() if task.task_name not in inside)]
    return asked


def _asked_of_0_5(made: MadeRun) -> list[Any]:
    """Their configurations, of which that line makes tasks."""
    kinds = ((None, ""), (CalibrationTask, "calib_"))
    return [task.configured(kind, prefix) for kind, prefix in kinds for task in made.tasks]


def _group(tree: Any, built: dict[str, Any], prefix: str) -> Group:
    name, aggregate, members = tree
    group = Group.from_config({"group": prefix + name, "aggregate_metric_list": aggregate})
    for member in members:
        group.add(built[member] if isinstance(member, str) else _group(member, built, prefix))
    return group


def names_of_groups(tree: Any) -> Iterator[str]:
    """A group's name and those of the groups in it."""
    name, _, members = tree
    yield name
    for member in members:
        if not isinstance(member, str):
            yield from names_of_groups(member)
