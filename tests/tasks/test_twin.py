"""The twin: upstream's figures bit for bit, and beliefs that are the model's."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from kinds import kinds
from lm_eval import simple_evaluate
from release import OLD, answers, only_0_4

from lm_eval_calibration import CalibrationTask, Predictions, evaluate
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import DEFAULT_METRICS
from lm_eval_calibration.stated import MEASURES
from lm_eval_calibration.tasks.stated import RATES
from lm_eval_calibration.tasks.uncertainty import AGGREGATIONS

MULTIPLE_CHOICE = [
    "toy_norm",
    "toy_plain",
    "toy_default",
    "toy_several",
    "toy_outside",
    "toy_mutual",
    "toy_inputs",
]


def run(lm: Any, tasks: Any, names: list[str], **arguments: Any) -> dict[str, Any]:
    """`simple_evaluate` with cheap error bars unless asked otherwise."""
    settings: dict[str, Any] = {"bootstrap_iters": 50, **arguments}
    return simple_evaluate(model=lm, tasks=names, task_manager=tasks, **settings)


def run_made(lm: Any, task: Any) -> dict[str, Any]:
    """A run of a task that was made here, which 0.5's `simple_evaluate` does not take."""
    from lm_eval import evaluate as run_evaluate

    found: dict[str, Any] = run_evaluate(
        lm=lm, task_dict={"tasks": {task.task_name: task}}, bootstrap_iters=50
    )
    return found


def assert_same_upstream(
    upstream: dict[str, Any], twin: dict[str, Any], task: str, twin_task: str
) -> None:
    """Every figure and every logged document of the upstream run, in the twin's, to the last bit."""
    theirs, ours = upstream["results"][task], twin["results"][twin_task]
    for key, value in theirs.items():
        if key not in ("name", "alias"):
            assert ours[key] == value, key
    for a, b in zip(upstream["samples"][task], twin["samples"][twin_task], strict=True):
        for key, value in a.items():
            if key != "metrics":
                assert b[key] == value, key


ARGUMENTS = {
    "zero-shot": {},
    "few-shot": {"num_fewshot": 2},
    "chat": {"num_fewshot": 1, "apply_chat_template": True, "fewshot_as_multiturn": True},
    "limit": {"limit": 7},
}


@pytest.mark.parametrize("how", kinds(ARGUMENTS, ["few-shot", "limit"]))
def test_upstream_metrics_are_bit_identical(tiny_lm: Any, tasks: Any, how: str) -> None:
    arguments = ARGUMENTS[how]
    upstream = run(tiny_lm, tasks, list(MULTIPLE_CHOICE), **arguments)
    twins = run(tiny_lm, tasks, [f"calib_{name}" for name in MULTIPLE_CHOICE], **arguments)
    for name in MULTIPLE_CHOICE:
        assert_same_upstream(upstream, twins, name, f"calib_{name}")


@only_0_4("`--samples` ends in an IndexError in 0.5.0.dev1")
def test_samples_argument_selects_the_same_documents(scripted: Any, tasks: Any) -> None:
    picked = [0, 3, 11]
    upstream = run(scripted(), tasks, ["toy_norm"], samples={"toy_norm": picked})
    twin = run(scripted(), tasks, ["calib_toy_norm"], samples={"calib_toy_norm": picked})
    assert_same_upstream(upstream, twin, "toy_norm", "calib_toy_norm")
    assert [s["doc_id"] for s in twin["samples"]["calib_toy_norm"]] == picked


def test_figures_are_those_of_the_logged_log_likelihoods(scripted: Any, tasks: Any) -> None:
    """The whole path, checked by rebuilding the predictions from what the harness logged."""
    results = run(scripted(), tasks, ["calib_toy_norm"])
    samples = results["samples"]["calib_toy_norm"]
    lls = [[r[0] for r in answers(s)] for s in samples]
    gold = [s["doc"]["answer"] for s in samples]
    more = 0 if OLD else 1  # (0.5 counts the space before an option)
    lengths = [[len(o) + more for o in s["doc"]["options"]] for s in samples]
    norm = [np.array(a) / np.array(b) for a, b in zip(lls, lengths, strict=True)]
    row = results["results"]["calib_toy_norm"]
    for suffix, logits in (("", lls), ("_norm", norm)):
        predictions = Predictions.from_options(logits, gold)
        for name, estimate in evaluate(predictions, replicates=0).items():
            assert row[f"{name}{suffix},none"] == pytest.approx(estimate.value, abs=1e-12)
        assert row[f"acc{suffix},none"] == predictions.correct.mean()


@pytest.mark.parametrize(
    "name", ["toy_norm", "toy_plain", "toy_several", "toy_mutual", "toy_inputs"]
)
def test_mean_of_logged_correctness_is_acc(scripted: Any, tasks: Any, name: str) -> None:
    twin = run(scripted(), tasks, [f"calib_{name}"])
    for sample in twin["samples"][f"calib_{name}"]:
        assert sample["ece"][1] == sample["acc"]
        if "acc_norm" in sample:
            assert sample["ece_norm"][1] == sample["acc_norm"]


def test_default_metrics_and_their_normalised_versions(scripted: Any, tasks: Any) -> None:
    norm, plain = (
        run(scripted(), tasks, [t])["results"][t] for t in ("calib_toy_norm", "calib_toy_plain")
    )
    for name in DEFAULT_METRICS:
        assert {f"{name},none", f"{name}_norm,none"} <= norm.keys()
        assert f"{name},none" in plain
        assert f"{name}_norm,none" not in plain
        assert isinstance(norm[f"{name}_stderr,none"], float)


def test_metrics_by_bytes_where_the_task_reports_acc_bytes(scripted: Any, tasks: Any) -> None:
    """One option in Chinese has three bytes a character, so that both normalisations prefer another one."""
    rows = [{"q": f"{i}?", "options": ["是的是的", "yes, it is"], "gold": i % 2} for i in range(4)]
    verdicts = [{"metric": m, "aggregation": "mean", "higher_is_better": True}
                for m in ("acc", "acc_norm", "acc_bytes")]  # fmt: skip
    task = CalibrationTask(config=config(rows=rows, metric_list=verdicts))
    even = scripted(lambda _, continuation: -6.0 if "是" in continuation else -12.0)
    found = run_made(even, task)
    row, samples = found["results"]["inline"], found["samples"]["inline"]
    more = 0 if OLD else 1  # (0.5 counts the space before an option)
    lengths_of = {"": [1, 1], "_norm": [4 + more, 10 + more], "_bytes": [12 + more, 10 + more]}
    for suffix, lengths in lengths_of.items():
        logits = [[-6 / lengths[0], -12 / lengths[1]] for _ in rows]
        predictions = Predictions.from_options(logits, [r["gold"] for r in rows])
        for name, estimate in evaluate(predictions, replicates=0).items():
            assert row[f"{name}{suffix},none"] == pytest.approx(estimate.value, nan_ok=True), name
        assert row[f"acc{suffix},none"] == predictions.correct.mean()
        assert [s[f"ece{suffix}"][1] for s in samples] == [s[f"acc{suffix}"] for s in samples]
    assert row["ece_bytes,none"] not in (row["ece,none"], row["ece_norm,none"])
    assert {f"{name}_bytes,none" for name in DEFAULT_METRICS} <= row.keys()


def test_no_error_bars_with_zero_bootstrap_iterations(scripted: Any, tasks: Any) -> None:
    row = run(scripted(), tasks, ["calib_toy_plain"], bootstrap_iters=0)["results"]
    assert row["calib_toy_plain"]["ece_stderr,none"] == "N/A"
    assert row["calib_toy_plain"]["nll_stderr,none"] == "N/A"


def test_one_document_has_no_error_bar(scripted: Any, tasks: Any) -> None:
    row = run(scripted(), tasks, ["calib_toy_plain"], limit=1)["results"]["calib_toy_plain"]
    assert row["ece_stderr,none"] == "N/A"
    assert math.isnan(row["auroc,none"])


def test_logged_samples_are_lean(scripted: Any, tasks: Any) -> None:
    sample = run(scripted(), tasks, ["calib_toy_plain"], limit=2)["samples"]["calib_toy_plain"][0]
    assert isinstance(sample["nll"], float)
    assert len(sample["ece"]) == 2
    assert set(sample["metrics"]) == {"acc", *DEFAULT_METRICS}


def test_own_yaml_names_metrics_and_options(scripted: Any, tasks: Any) -> None:
    results = run(scripted(), tasks, ["toy_own"])
    row = results["results"]["toy_own"]
    samples = results["samples"]["toy_own"]
    confidence, correct = np.array([s["ece"] for s in samples]).T
    bins = np.minimum(np.ceil(confidence * 3), 3)
    by_hand = sum(abs((confidence - correct)[bins == b].sum()) for b in (1, 2, 3)) / len(samples)
    assert row["ece,none"] == pytest.approx(by_hand, abs=1e-12)
    assert {"acc_at_coverage_0.5,none", "classwise_ece,none", "tl_ece_norm,none"} <= row.keys()
    assert "nll,none" not in row
    logged = results["configs"]["toy_own"]["metric_list"]
    assert {"metric": "ece", "num_bins": 3} in logged
    assert results["configs"]["toy_own"]["metadata"]["lm_eval_calibration"]


def test_the_run_records_what_it_is_a_twin_of(scripted: Any, tasks: Any) -> None:
    config = run(scripted(), tasks, ["calib_toy_norm"])["configs"]["calib_toy_norm"]
    assert config["metadata"]["twin_of"] == "toy_norm"
    assert config["task_alias"] == "calib_norm"


def test_predict_only_leaves_no_metrics(scripted: Any, tasks: Any) -> None:
    results = run(scripted(), tasks, ["calib_toy_plain"], predict_only=True, limit=3)
    assert "ece,none" not in results["results"]["calib_toy_plain"]


@only_0_4("0.5 leaves such documents out")
def test_gold_outside_the_options_counts_as_wrong_and_is_said_once(
    scripted: Any, tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        results = run(scripted(), tasks, ["calib_toy_outside"])
    outside = [s for s in results["samples"]["calib_toy_outside"] if s["doc"]["far"] == 9]
    assert len(outside) == 8
    assert all(s["ece"][1] == 0 and s["nll"] is None and s["brier"] is None for s in outside)
    assert math.isfinite(results["results"]["calib_toy_outside"]["nll,none"])
    assert sum("names none of its options" in r.message for r in caplog.records) == 1


def test_minus_infinity_is_probability_zero(scripted: Any, tasks: Any) -> None:
    def answer(context: str, continuation: str) -> float:
        return -1.0 if continuation.endswith("0") else -math.inf

    samples = run(scripted(answer), tasks, ["calib_toy_plain"])["samples"]["calib_toy_plain"]
    assert all(s["ece"] == [1.0, int(s["doc"]["answer"] == 0)] for s in samples)
    assert {s["nll"] for s in samples} == {0.0, math.inf}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_names_task_document_and_option(scripted: Any, tasks: Any, bad: float) -> None:
    def answer(context: str, continuation: str) -> float:
        return bad if "item 4 " in context and continuation.endswith("2") else -1.0

    with pytest.raises(InvalidInputError, match=r"calib_toy_plain`, document 4.*option 2"):
        run(scripted(answer), tasks, ["calib_toy_plain"])


def test_all_options_at_minus_infinity_is_an_error(scripted: Any, tasks: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"document 0.*-inf for all 3 options"):
        run(scripted(lambda *_: -math.inf), tasks, ["calib_toy_plain"])


def config(**changes: Any) -> dict[str, Any]:
    """A minimal task over generated documents."""
    import datasets

    rows = changes.pop("rows", [{"q": "a?", "options": ["b", "c"], "gold": 0}] * 3)
    return {
        "task": "inline",
        "custom_dataset": lambda **_: {"test": datasets.Dataset.from_list(rows)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "q",
        "doc_to_choice": "options",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        **changes,
    }


@only_0_4("0.5 leaves out documents whose options or targets are none of its kind")
def test_single_options_and_empty_strings(scripted: Any, tasks: Any) -> None:
    rows = [
        {"q": "a?", "options": ["only"], "gold": 0},
        {"q": "b?", "options": ["", "two"], "gold": 0},
    ]
    task = CalibrationTask(config=config(rows=rows))
    samples = run_made(scripted(), task)["samples"]
    assert samples["inline"][0]["ece"] == [1.0, 1]
    assert samples["inline"][0]["nll"] == 0.0
    assert 0 < samples["inline"][1]["ece"][0] < 1


@only_0_4("0.5's targets are numbers or an option's text")
def test_string_answer_keys(scripted: Any, tasks: Any) -> None:
    rows = [{"q": "a?", "options": ["b", "c"], "gold": g} for g in ("b", "c", "d")]
    task = CalibrationTask(config=config(rows=rows))
    samples = run_made(scripted(), task)["samples"]
    assert [s["ece"][1] for s in samples["inline"]] == [s["acc"] for s in samples["inline"]]
    assert samples["inline"][2]["nll"] is None


@only_0_4("0.5 takes 1.5 for 1")
def test_answer_keys_between_two_options_are_neither(scripted: Any, tasks: Any) -> None:
    rows = [{"q": f"{i}?", "options": ["b", "c"], "gold": g} for i, g in enumerate([0.0, 1.0, 0.5])]
    favour_b = scripted(lambda _, continuation: -1.0 if continuation.endswith("b") else -2.0)
    task = CalibrationTask(config=config(rows=rows, process_results=lambda *_: {"acc": 0.0}))
    samples = run_made(favour_b, task)["samples"]["inline"]
    assert [s["ece"][1] for s in samples] == [1, 0, 0]
    assert samples[2]["nll"] is None


@only_0_4("0.5 leaves such documents out")
def test_an_answer_key_of_no_use_names_the_document(scripted: Any, tasks: Any) -> None:
    rows = [{"q": f"{i}?", "options": ["b", "c"], "gold": g} for i, g in enumerate("aax")]
    task = CalibrationTask(
        config=config(
            rows=rows,
            doc_to_target=lambda doc: None if doc["gold"] == "x" else 0,
            process_results=lambda doc, results: {"acc": 1.0},
        )
    )
    with pytest.raises(InvalidInputError, match=r"`inline`, document 2: The answer key None"):
        run_made(scripted(), task)


def test_only_multiple_choice() -> None:
    with pytest.raises(InvalidInputError, match=r"output_type: multiple_choice`, got 'generate"):
        CalibrationTask(config=config(output_type="generate_until"))


def test_misspelt_metric_options_fail_before_inference() -> None:
    with pytest.raises(UnknownNameError, match=r"`num_bin`. Did you mean `num_bins`"):
        CalibrationTask(config=config(metric_list=[{"metric": "ece", "num_bin": 10}]))
    with pytest.raises(InvalidInputError, match=r"`num_bins` must be an integer"):
        CalibrationTask(config=config(metric_list=[{"metric": "ece", "num_bins": 0}]))


def test_a_misspelt_metric_fails_before_inference() -> None:
    with pytest.raises(UnknownNameError, match=r"`eece`. Did you mean `ece`"):
        CalibrationTask(config=config(metric_list=[{"metric": "eece"}]))


def test_a_metric_named_twice() -> None:
    with pytest.raises(InvalidInputError, match="`ece` twice"):
        CalibrationTask(config=config(metric_list=[{"metric": "ece"}, {"metric": "ece"}]))


def test_metric_list_of_ours_alone_keeps_acc() -> None:
    task = CalibrationTask(config=config(metric_list=[{"metric": "smece"}]))
    ours = {"acc", "acc_norm", "smece"}
    assert set(task.aggregation()) - set(AGGREGATIONS) - {"acc_valid", *RATES, *MEASURES} == ours
    assert task.higher_is_better()["smece"] is False


def test_own_process_results_that_disagrees_is_said(
    scripted: Any, tasks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    task = CalibrationTask(config=config(process_results=lambda doc, results: {"acc": 0.0}))
    favour_b = scripted(lambda _, continuation: -1.0 if continuation.endswith("b") else -2.0)
    with caplog.at_level(logging.WARNING):
        run_made(favour_b, task)
    assert sum("process_results" in r.message for r in caplog.records) == 1


def test_settings_of_a_run_are_not_the_next_ones(tiny_model: Any, tasks: Any) -> None:
    settings = f"base=hf,pretrained={tiny_model},device=cpu,candidates=1"

    def run(**more: Any) -> dict[str, Any]:
        found = simple_evaluate(
            model="self_consistency", model_args=settings, tasks=["calib_toy_generate"], task_manager=tasks,
            limit=1, bootstrap_iters=0, **more,
        )  # fmt: skip
        return dict(found["configs"]["calib_toy_generate"]["generation_kwargs"])

    before = run()
    assert run(gen_kwargs="max_gen_toks=3")["max_gen_toks"] == 3
    assert run() == before


def test_metrics_that_a_filter_names_are_the_tasks() -> None:
    """As 0.5's YAMLs have them."""
    first = [{"function": "take_first"}]
    listed = [{"metric": "acc"}, {"metric": "ece", "num_bins": 7}]
    filters = [{"name": name, "filter": first, "metric_list": listed} for name in ("a", "b")]
    task = CalibrationTask(config=config(filter_list=filters))
    assert [(b.name, dict(b.options)) for b in task.calibration_metrics] == [
        ("ece", {"num_bins": 7})
    ]
    for pipeline in filters:
        pipeline["metric_list"] = [{"metric": "eece"}]
    with pytest.raises(UnknownNameError, match="`ece`"):
        CalibrationTask(config=config(filter_list=filters))


@pytest.mark.parametrize("where", ["found", "metadata", "metric_list", "none"])
def test_questions_about_one_passage_are_drawn_together(scripted: Any, where: str) -> None:
    """Each question four times, about one passage: the error bar is that of a quarter of them."""
    name = "passage" if where == "found" else "source"
    rows = [
        {"q": f"{i // 4}?", "options": ["b", "c"], "gold": i // 4 % 2, name: f"text {i // 4}"}
        for i in range(4 * 30)
    ]
    changes: dict[str, Any] = {"rows": rows}
    if where == "metadata":
        changes["metadata"] = {"cluster": "source"}
    if where == "metric_list":
        changes["metric_list"] = [{"metric": "nll", "cluster": "source"}, {"metric": "auroc"}]
    task = CalibrationTask(config=config(**changes))
    found = run_made(scripted(), task)
    row, samples = found["results"]["inline"], found["samples"]["inline"]
    logits = [[float(r[0]) for r in answers(s)] for s in samples]
    p = Predictions.from_options(logits, [r["gold"] for r in rows])
    clusters = None if where == "none" else [i // 4 for i in range(len(rows))]
    expected = evaluate(p, ["nll", "auroc"], replicates=50, clusters=clusters)
    for metric, e in expected.items():
        assert row[f"{metric},none"] == pytest.approx(e.value)
        assert row[f"{metric}_stderr,none"] == pytest.approx(e.stderr, rel=1e-6), metric
    assert samples[0]["nll"] == pytest.approx(-logits[0][rows[0]["gold"]], abs=20)


def test_a_field_that_documents_do_not_have(scripted: Any) -> None:
    task = CalibrationTask(config=config(metadata={"cluster": "passsage"}))
    with pytest.raises(UnknownNameError, match="`passsage`"):
        run_made(scripted(), task)
    with pytest.raises(InvalidInputError, match="`cluster` must be one field"):
        CalibrationTask(config=config(metadata={"cluster": 3}))
