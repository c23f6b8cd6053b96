"""Calibrators that read no labels: DACA, PriDe, contextual calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import run
from lettered import TASK, Lettered, fair
from lettered import run as run_letters
from lm_eval.api.registry import register_model
from logged_lines import save_run
from release import answers

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.daca import align
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.task_documents import Selection
from lm_eval_calibration.fitting.unlabelled import contextual, daca, pride
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.logs.runs import read_runs
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import Ragged


@register_model("lettered_too")
class _Lettered(Lettered):
    """By its name."""


def pair(
    temperature: float, noise: float = 0.0, count: int = 1500
) -> tuple[Predictions, Predictions]:
    """A model, and one that is so many times as sure, of the same documents."""
    rng = np.random.default_rng(0)
    base = Predictions.from_options(rng.normal(0, 1.5, (count, 4)), rng.integers(0, 4, count))
    assert base.options is not None and base.golds is not None
    logits = base.options.values + rng.normal(0, noise, len(base.options.values))
    return Predictions.from_flat(temperature * logits, base.options.count, base.golds.values), base


def unlabelled(p: Predictions) -> Predictions:
    """The same beliefs with other right options."""
    assert p.golds is not None and p.options is not None
    gold = np.random.default_rng(1).permutation(p.golds.values)
    return Predictions.from_flat(p.options.values, p.options.count, gold)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_known_temperature_is_recovered_without_labels(temperature: float) -> None:
    tuned, base = pair(temperature)
    found = align(unlabelled(tuned), unlabelled(base))
    assert found.temperature == pytest.approx(temperature, rel=1e-3)
    assert found.agreed == found.documents == len(base)


def test_documents_on_which_they_disagree_are_left_out() -> None:
    tuned, base = pair(3.0, noise=0.7)
    found = align(tuned, base)
    assert 0.3 * found.documents < found.agreed < 0.95 * found.documents
    assert found.temperature == pytest.approx(3.0, rel=0.35)


def run_of(p: Predictions, label: str, start: int = 0) -> Run:
    hashes = np.arange(start, start + len(p), dtype=np.uint64)
    return Run(label, {"toy": Samples(label, "toy", Path(label), p, doc_hash=hashes)})


def test_runs_are_paired_by_their_documents() -> None:
    tuned, base = pair(2.5)
    order = np.random.default_rng(0).permutation(len(base))
    mixed = run_of(base.take(order), "base")
    samples = mixed.samples["toy"]
    mixed = Run("base", {"toy": replace(samples, doc_hash=order.astype(np.uint64))})
    found = daca(run_of(tuned, "chat"), mixed)
    assert found.calibrator.parameters[""]["temperature"] == pytest.approx(2.5, rel=1e-3)
    assert found.calibrator.label_free
    assert "the same option on 1,500 of 1,500" in found.notes[0]
    assert len(found.notes) == 1
    sharper = daca(run_of(base, "chat"), run_of(tuned, "base"))
    assert "T is below 1" in sharper.notes[1]
    with pytest.raises(InvalidInputError, match="no document in common"):
        daca(run_of(tuned, "chat"), run_of(base, "base", start=10_000))


def test_daca_as_it_is_typed(tmp_path: Path, write: Any) -> None:
    from logged_lines import line

    rng = np.random.default_rng(0)
    scores = rng.normal(-3, 1, (60, 2)).clip(max=0)
    places = []
    for name, factor in (("base", 1.0), ("chat", 2.0)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "samples_toy_2026-01-02T03-04-05.678901.jsonl"
        lines = [
            line(i, scores=(factor * s).tolist(), target=str(i % 2)) for i, s in enumerate(scores)
        ]
        path.write_text("".join(json.dumps(each) + "\n" for each in lines))
        places.append(path)
    out = tmp_path / "d"
    printed = run("fit", "daca", "--samples", places[1], "--reference", places[0], "-o", out).stdout
    assert "T = 2.000" in printed and "T of labels" in printed
    loaded = Calibrator.from_pretrained(out)
    assert loaded.label_free and loaded.method == "temperature"
    # Without labels it may be used on the very documents, which is said.
    done = run("score", places[1], "--calibrator", out, "--metrics", "nll")
    assert "without their labels" in done.stderr


def test_orders_tell_a_letter_that_is_liked(tasks: Any, tmp_path: Path) -> None:
    """The base likes the first letter twice as much: PriDe finds it, and one order is enough from then on."""
    several = save_run(tmp_path / "several", run_letters(tasks, "lettered_too", orders=5))
    out = tmp_path / "prior"
    printed = run("fit", "prior", "--method", "pride", "--samples", several, "-o", out).stdout
    assert "without labels" in printed
    (preference,) = (p["preference"] for p in Calibrator.from_pretrained(out).parameters.values())
    ratio = preference[0] / preference[1:]
    assert ratio == pytest.approx(np.full(len(ratio), 2.0), rel=0.15)
    single = run_letters(tasks, "lettered_too", orders=1, calibrator=str(out))
    for sample in single["samples"][TASK]:
        texts = [
            str(a["arg_1"] if isinstance(a, dict) else a[1]).strip()
            for a in (
                sample["arguments"].values()
                if isinstance(sample["arguments"], dict)
                else sample["arguments"]
            )
        ]
        own = np.array([float(r[0]) for r in answers(sample)])
        p = np.exp(own - np.logaddexp.reduce(own))
        unbiased = fair(texts, len(texts))
        np.testing.assert_allclose(p, unbiased, atol=0.05)
    one_order = save_run(tmp_path / "one", run_letters(tasks, "lettered_too", orders=1))
    ((read,), _) = read_runs([str(one_order)])
    with pytest.raises(InvalidInputError, match="says nothing of several orders"):
        pride(read)


LETTERS = """
task: two_letters
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/rows.json}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}\\nA. {{{{options[0]}}}}\\nB. {{{{options[1]}}}}\\nAnswer:"
doc_to_choice: ["A", "B"]
doc_to_target: answer
"""


class Biased(Lettered):
    """Likes A three times as much as B, and believes in nothing else."""

    def _score(self, prompt: str, word: str) -> float:
        return float(np.log(0.75 if word.strip() == "A" else 0.25))


def test_what_is_believed_of_nothing(tmp_path: Path) -> None:
    rows = [
        {"question": f"What is {i}?", "options": [f"one {i}", f"two {i}"], "answer": 0}
        for i in range(4)
    ]
    (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "two_letters.yaml").write_text(LETTERS.format(folder=tmp_path))
    lm = Biased()
    lm.tells_tokens = False  # type: ignore[attr-defined]
    found = contextual(lm, Selection(["two_letters"], include_path=str(tmp_path)))
    assert found.calibrator.parameters[""]["preference"] == pytest.approx([1.5, 0.5])
    prompts = [prompt for prompt, _ in lm.asked]
    assert prompts[0] == "N/A\nA. N/A\nB. N/A\nAnswer:" and prompts[-1] == "\nA. \nB. \nAnswer:"
    assert not any("What is" in prompt or "one" in prompt for prompt in prompts)
    p = Predictions.from_options(np.log([[0.75, 0.25]]), [0])
    assert found.calibrator.transform(p).confidence == pytest.approx([0.5])


def test_texts_have_no_letters_to_prefer(tasks: Any, task_folder: Path) -> None:
    selection = Selection(["toy_plain"], include_path=str(task_folder))
    with pytest.raises(InvalidInputError, match="texts of each document's own"):
        contextual(Biased(), selection)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--method", "pride"), "--samples"),
        (("--method", "batsh", "--samples", "x"), "`--method`"),
        (("--method", "pride", "--tasks", "arc_easy"), "needs --samples"),
        (("--method", "contextual", "--samples", "x"), "needs --tasks"),
    ],
)
def test_what_does_not_go_together(arguments: tuple[str, ...], why: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=why):
        run("fit", "prior", *arguments, "-o", tmp_path / "p")


def test_ragged_beliefs_are_taken() -> None:
    tuned = Predictions.from_options([[0.0, 2.0], [0.0, 2.0, 4.0]], [0, 0])
    base = Predictions.from_options([[0.0, 1.0], [0.0, 1.0, 2.0]], [0, 0])
    assert isinstance(tuned.options, Ragged)
    assert align(tuned, base).temperature == pytest.approx(2.0, rel=1e-3)


def test_a_pass_over_tasks_keeps_its_features_where_it_is_told(
    tmp_path: Path, tiny_model: Path
) -> None:
    rows = [
        {"question": f"What is {i}?", "options": [f"one {i}", f"two {i}"], "answer": i % 2}
        for i in range(10)
    ]
    (tmp_path / "rows.json").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "two_letters.yaml").write_text(LETTERS.format(folder=tmp_path))
    out, kept = tmp_path / "prior", tmp_path / "features"
    run(
        "fit", "prior", "--tasks", "two_letters", "--include_path", tmp_path, "--split", "test", "--device", "cpu",
        "--model_args", f"pretrained={tiny_model}", "--features", kept, "-o", out,
    )  # fmt: skip
    assert any(kept.iterdir()) and not (out / "features").exists()
    assert Calibrator.from_pretrained(out).method == "prior"
