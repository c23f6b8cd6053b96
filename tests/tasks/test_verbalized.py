"""Tasks that ask for a probability of every label, and the filters that read and map them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from logged_lines import save_run
from scripted_base import dice

from lm_eval_calibration.calibrators import fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents, read_runs
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.stated import Statement
from lm_eval_calibration.tasks.stated import stated_rows
from lm_eval_calibration.tasks.verbal_filters import (
    RecalibrationFilter,
    ResoftmaxFilter,
    VerbalizedFilter,
    as_predictions,
)

LABELS = ["bad", "good", "so-so"]
TASK = """
task: stated_moods
class: !function lm_eval_calibration.VerbalizedTask
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/moods.json}}}}
output_type: generate_until
test_split: test
doc_to_text: "How is it? {{{{text}}}}"
doc_to_choice: [bad, good, so-so]
doc_to_target: label
generation_kwargs: {{until: []}}
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
filter_list:
  - name: raw
    filter: [{{function: verbalized, labels: [bad, good, so-so]}}]
  - name: inverse_softmax
    filter:
      - {{function: verbalized, labels: [bad, good, so-so]}}
      - {{function: inverse_softmax, target: label}}
  - name: resoftmax
    filter:
      - {{function: verbalized, labels: [bad, good, so-so]}}
      - {{function: resoftmax, target: label}}
"""


class Moody(LM):
    """Sure of itself, right seven times of ten, silent one time of twenty."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts: list[str] = []

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        return [self.reply(str(r.args[0]), r.args[1]) for r in requests]

    def reply(self, prompt: str, settings: dict[str, Any]) -> str:
        self.prompts.append(prompt)
        assert settings["max_gen_toks"] >= 100
        number = int(prompt.split("moment ")[1].split()[0].rstrip("."))
        if dice(number, "silent") < 0.05:
            return "I cannot say."
        shown = number % 3 if dice(number, "right") < 0.7 else (number + 1) % 3
        sure = 0.9 + 0.1 * (dice(number, "sure") > 0.5)
        rest = (1 - sure) / 2
        return json.dumps({name: sure if k == shown else rest for k, name in enumerate(LABELS)})

    def loglikelihood(self, requests: list[Any], **_: Any) -> Any:
        raise NotImplementedError

    loglikelihood_rolling = loglikelihood


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Moody]:
    from lm_eval.tasks import TaskManager

    import lm_eval_calibration  # noqa: F401

    folder = tmp_path_factory.mktemp("moods")
    rows = [json.dumps({"text": f"moment {i}.", "label": i % 3}) for i in range(200)]
    (folder / "moods.json").write_text("\n".join(rows))
    (folder / "moods.yaml").write_text(TASK.format(folder=folder))
    lm = Moody()
    found = simple_evaluate(
        model=lm, tasks=["stated_moods"], bootstrap_iters=100,
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
    )  # fmt: skip
    return dict(found), lm


def test_one_run_has_a_row_for_each_filter(results: tuple[dict[str, Any], Moody]) -> None:
    found, lm = results
    assert len(lm.prompts) == 200
    assert lm.prompts[0].startswith("How is it? moment 0.\n\nFind the most likely option")
    assert 'Its keys are "bad", "good", "so-so"' in lm.prompts[0]
    row = found["results"]["stated_moods"]
    for name in ("raw", "inverse_softmax", "resoftmax"):
        assert row[f"acc,{name}"] == pytest.approx(row["acc,raw"])
        assert row[f"invalid_rate,{name}"] == pytest.approx(row["invalid_rate,raw"])
        assert 0.02 < row["invalid_rate,raw"] < 0.1
    assert row["ece,inverse_softmax"] < row["ece,raw"] / 2
    assert row["nll,inverse_softmax"] < row["nll,raw"]
    assert row["zero_rate,raw"] > 0 and row["zero_on_gold_rate,raw"] > 0
    assert row["acc_valid,raw"] > row["acc,raw"]


def test_what_is_logged(results: tuple[dict[str, Any], Moody]) -> None:
    found, _ = results
    samples = found["samples"]["stated_moods"]
    raw = [s for s in samples if s["filter"] == "raw"]
    assert len(raw) == 200 and all(len(s["stated"]["replies"]) == 1 for s in raw)
    assert all(s["stated"]["labels"] == LABELS for s in raw)
    silent = [s for s in raw if s["stated"]["status"] == "invalid"]
    assert silent and all(s["stated"]["probabilities"] == (1 / 3,) * 3 for s in silent)


def test_runs_are_read_back_by_filter(
    results: tuple[dict[str, Any], Moody], tmp_path: Path
) -> None:
    """All labels' probabilities, as printed or as a filter mapped them."""
    found, _ = results
    folder = save_run(tmp_path, {**found, "samples": dict(found["samples"])})
    printed = found["results"]["stated_moods"]
    for name in ("raw", "inverse_softmax"):
        (run,), _ = read_runs([folder], filter_name=name)
        samples = run.samples["stated_moods"]
        values = evaluate(samples.predictions, ["acc", "nll", "brier", "ece"], replicates=0)
        for metric, estimate in values.items():
            assert estimate.value == pytest.approx(printed[f"{metric},{name}"])
        (first,) = read_documents(samples, [0])
        assert first.options == tuple(LABELS) and "moment 0." in first.prompt
        assert first.gold == (0,)


def statements(count: int) -> tuple[list[Statement], list[dict[str, int]]]:
    rng = np.random.default_rng(0)
    rows = rng.dirichlet([0.3, 0.3, 0.3], size=count).round(2)
    docs = [{"label": int(k), "name": LABELS[k]} for k in rng.integers(3, size=count)]
    return [Statement(tuple(r / r.sum()), "valid") for r in rows], docs


def test_folds_are_mapped_by_the_others() -> None:
    found, docs = statements(50)
    mapped = RecalibrationFilter(target="label").apply(found, docs)
    gold = [[doc["label"]] for doc in docs]
    beliefs = as_predictions(found, gold)
    rows = np.arange(50)
    for k in range(5):
        calibrator = fit("inverse_softmax", beliefs.take(rows[rows % 5 != k]))
        expected = calibrator.transform(beliefs.take(rows[rows % 5 == k])).probabilities
        np.testing.assert_allclose([mapped[i].probabilities for i in rows[rows % 5 == k]], expected)
    by_name = RecalibrationFilter(target="name", labels=LABELS).apply(found, docs)
    assert [m.probabilities for m in by_name] == [m.probabilities for m in mapped]


def test_parameters_that_are_given() -> None:
    found, docs = statements(3)
    (same, *_) = RecalibrationFilter(temperature=1.0, floor=1e-6).apply(found, docs)
    assert same.probabilities == pytest.approx(found[0].probabilities, abs=1e-3)
    certain = Statement((1.0, 0.0), "valid")
    (soft,) = ResoftmaxFilter(temperature=1.0).apply([certain], [{}])
    assert soft.probabilities[0] == pytest.approx(np.e / (np.e + 1), abs=1e-3)
    invalid = Statement((0.5, 0.5), "invalid")
    assert RecalibrationFilter(temperature=3.0).apply([invalid], [{}]) == [invalid]


def test_fewer_documents_than_folds_stay_as_stated(caplog: pytest.LogCaptureFixture) -> None:
    """A run with `--limit 3` tells whether all is well, and does not end in an error."""
    found, docs = statements(3)
    for mapped in (RecalibrationFilter, ResoftmaxFilter):
        assert mapped(target="label").apply(found, docs) == found
    assert "at least 5 documents" in caplog.text


def test_what_is_refused(tmp_path: Path) -> None:
    found, docs = statements(3)
    for call, match in (
        (lambda: VerbalizedFilter(), "`labels` must be a list"),
        (lambda: VerbalizedFilter(LABELS, reading="loud"), "`reading` must be"),
        (lambda: RecalibrationFilter(), "`target` must be"),
        (lambda: RecalibrationFilter(target="no.such").apply(found, docs), "no field `no.such`"),
        (lambda: RecalibrationFilter(target="name", labels=["a"]).apply(found, docs), "none of"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            call()


@pytest.mark.exhaustive
def test_on_real_documents(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task of ours asks for its labels, and knows the right one."""
    from lm_eval.tasks import TaskManager

    monkeypatch.chdir(data_folder)
    names = ["sst2", "emotion", "ag_news", "clinc", "arc_easy", "arc_challenge"]
    loaded = TaskManager().load([f"calib_verbalized_{name}" for name in names])["tasks"]
    for name in names:
        task = loaded[f"calib_verbalized_{name}"]
        for doc in list(task.eval_docs)[:50]:
            labels = task.doc_to_choice(doc)
            assert 0 <= int(task.doc_to_target(doc)) < len(labels)
            assert "JSON object" in task.doc_to_text(doc)
            assert all(str(label) in task.doc_to_text(doc) for label in labels)


def test_acc_valid_is_the_tasks_own_acc() -> None:
    """Which may be the mass of the right options (TruthfulQA's MC2)."""
    read, unread = Statement((0.5, 0.5), "valid"), Statement((0.5, 0.5), "invalid")
    assert stated_rows(read, [0], 0.3, {"nll": 1.0})["acc_valid"] == 0.3
    assert "acc_valid" not in stated_rows(unread, [0], 0.3, {})
