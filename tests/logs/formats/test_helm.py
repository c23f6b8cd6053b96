"""Run folders that crfm-helm 0.5.16 wrote (`fixtures/make_helm.py`), and broken ones."""

from __future__ import annotations

import json
import math
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Samples, read_documents, read_runs
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.helm import HELM
from lm_eval_calibration.logs.formats.helm.scores import _length
from lm_eval_calibration.testing import check_format

PACKED = Path(__file__).parents[1] / "fixtures" / "helm.tar.gz"
ORIGINAL = "quiz:method=multiple_choice_separate_original"
CALIBRATED = "quiz:method=multiple_choice_separate_calibrated"
JOINT = "quiz:method=multiple_choice_joint"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite's folder, with a run folder for each task and model."""
    with tarfile.open(PACKED) as archive:
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # (Python 3.11.4 on)
        archive.extractall(tmp_path, **safe)  # type: ignore[arg-type]
    return tmp_path / "ours"


@pytest.fixture
def run(suite: Path) -> Path:
    """A run folder."""
    return suite / f"{ORIGINAL},model=huggingface_bytes"


def only(path: Path, skip_bad: bool = False) -> Samples:
    (found,), _ = read_runs([path], skip_bad=skip_bad)
    (samples,) = found.samples.values()
    return samples


def changed(run: Path, change: Callable[[Any], Any], name: str = "scenario_state.json") -> Path:
    path = run / name
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))
    return path


def figure(run: Path, name: str) -> float:
    """A mean in `stats.json`."""
    (mean,) = (
        stat["mean"]
        for stat in json.loads((run / "stats.json").read_text())
        if stat["name"]["name"] == name and "perturbation" not in stat["name"]
    )
    assert isinstance(mean, float)
    return mean


def test_laws(suite: Path) -> None:
    shutil.rmtree(suite / f"{JOINT},model=simple_model1")
    check_format(HELM, suite)


def test_figures_are_helm_s_own(suite: Path) -> None:
    runs, left_out = read_runs([suite])
    assert {run.label: sorted(run.samples) for run in runs} == {
        "bytes": [JOINT, CALIBRATED, ORIGINAL],
        "words": [ORIGINAL],
    }
    for run in runs:
        for task, samples in run.samples.items():
            folder = suite / f"{task},model=huggingface_{run.label}"
            p = samples.predictions
            assert p.correct.mean() == pytest.approx(figure(folder, "exact_match"))
            assert p.confidence.mean() == pytest.approx(figure(folder, "max_prob"))
            assert samples.path == folder / "scenario_state.json"
    assert len(left_out) == 1


def test_packed_it_is_the_same(suite: Path) -> None:
    packed, plain = read_runs([PACKED])[0], read_runs([suite])[0]
    for one, other in zip(packed, plain, strict=True):
        for task, samples in one.samples.items():
            assert (
                samples.predictions.confidence == other.samples[task].predictions.confidence
            ).all()


def test_a_packed_run_folder(suite: Path, tmp_path: Path) -> None:
    name = f"{ORIGINAL},model=huggingface_bytes"
    with tarfile.open(tmp_path / "one.tar.gz", "w:gz") as archive:
        archive.add(suite / name, name)
    assert len(only(tmp_path / "one.tar.gz")) == 6


def test_a_run_is_found_by_its_folder_and_its_file(suite: Path, run: Path) -> None:
    for path in (run, run / "scenario_state.json"):
        samples = only(path)
        assert samples.task == ORIGINAL and samples.run == "bytes"
    several = [str(run), str(suite / f"{CALIBRATED},model=huggingface_bytes")]
    (found,), _ = read_runs(several)
    assert [*found.samples] == [ORIGINAL, CALIBRATED]
    (run / "run_spec.json").write_text("{")
    assert (only(run).run, only(run).task) == ("huggingface_bytes", ORIGINAL)


def test_what_is_no_confidence(suite: Path, run: Path) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_runs([suite / f"{JOINT},model=simple_model1"])
    assert "the file has no log-probabilities of the options" in str(caught.value)
    assert "`max_prob` is 1.0 in every instance" in str(caught.value)

    def generation(found: Any) -> None:
        found["adapter_spec"]["method"] = "generation"

    path = changed(run, generation)
    with pytest.raises(InvalidInputError) as caught:
        read_runs([run])
    assert str(caught.value).endswith(
        f"{path}: the file has no log-probabilities of the options (its adapter is `generation`)."
    )


def test_what_was_generated_has_a_probability(suite: Path) -> None:
    samples = only(suite / f"{JOINT},model=huggingface_bytes")
    assert samples.predictions.options is None
    assert "confidence is `max_prob`" in samples.notes[0]
    with pytest.raises(InvalidInputError, match="holds no options with beliefs"):
        read_documents(samples, [0])


def test_texts_of_documents(run: Path) -> None:
    samples = only(run)
    (shown,) = read_documents(samples, [4])
    assert (shown.doc_id, shown.prompt) == ("id4", "A café serves")
    assert shown.options == ("crème brûlée", "gravel", "naïveté") and shown.gold == (0,)
    assert sum(shown.probabilities) == pytest.approx(1)
    assert shown.confidence == samples.predictions.confidence[4]


def test_models_are_paired_by_their_documents(suite: Path) -> None:
    bytes_, words = read_runs([suite])[0]
    assert (bytes_.samples[ORIGINAL].doc_hash == words.samples[ORIGINAL].doc_hash).all()


@pytest.mark.parametrize(
    ("tokens", "text", "count"),
    [
        (["is", " Lyon"], "Lyon", 1),
        (["is", " ", "L", "yon"], "Lyon", 3),
        (["is", " L", "y", "on"], "Lyon", 3),
        (["is", "new", "york"], "new york", 2),
        (["is", " ", "\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}", "t"], "ét", 4),
        (["is", "\N{REPLACEMENT CHARACTER}" * 2, "t"], "ét", 2),
        (["is", "bytes:\\xc3", "bytes:\\xa9", "té"], "été", 3),
        (["is", "é", "\N{REPLACEMENT CHARACTER}"], "éñ", 2),
        (["is", "<unk>", "ice"], "Nice", 2),
        (["is", "a", "<unk>", "ve"], "aïve", 3),
        (["Lyon"], "Lyon", 1),
    ],
)
def test_how_many_tokens_an_option_has(tokens: list[str], text: str, count: int) -> None:
    assert _length(tokens, text) == count


@pytest.mark.parametrize("tokens", [["is", "Paris"], ["on"], ["\N{REPLACEMENT CHARACTER}"], [""]])
def test_requests_that_do_not_end_with_their_option(tokens: list[str]) -> None:
    with pytest.raises(BadLineError, match="does not end with its option 'Lyon'"):
        _length(tokens, "Lyon")


def on_first(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda found: change(found["request_states"][0])


def completion(state: Any) -> Any:
    return state["result"]["completions"][0]


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "nan": (
        on_first(lambda s: completion(s)["tokens"][-1].update(logprob=math.nan)),
        "`logprob` must be a number of at most 0.001, got nan",
    ),
    "text": (on_first(lambda s: completion(s)["tokens"][-1].update(logprob="x")), "got x"),
    "positive": (on_first(lambda s: completion(s)["tokens"][-1].update(logprob=2)), "got 2"),
    "infinite": (
        on_first(lambda s: completion(s)["tokens"][-1].update(logprob=-math.inf)), "-Infinity",
    ),
    "other": (
        on_first(lambda s: completion(s)["tokens"][-1].update(logprob=-0.5)),
        "its `max_prob` is 0.846515 in per_instance_stats.json, its log-probabilities say",
    ),
    "tokens": (on_first(lambda s: completion(s).update(tokens=[])), "a request has no tokens"),
    "no tokens": (on_first(lambda s: completion(s).pop("tokens")), "holds what it must not"),
    "failed": (on_first(lambda s: s["result"].update(success=False)), "a request has no answer"),
    "no result": (on_first(lambda s: s.pop("result")), "a field holds what it must not"),
    "reference": (
        on_first(lambda s: s.update(reference_index=1)),
        "its original requests are of the options [1, 1, 2], expected one of each of 3",
    ),
    "missing": (lambda found: found["request_states"].pop(0), "are of the options [1, 2]"),
    "texts": (
        on_first(lambda s: s["instance"].update(references=[])), "`references` must be two texts",
    ),
    "id": (
        lambda found: [s["instance"].update(id="x") for s in found["request_states"][:3]],
        "it is not in per_instance_stats.json",
    ),
    "trial": (
        lambda found: [s.update(train_trial_index="?") for s in found["request_states"][:3]],
        "a field holds what it must not",
    ),
    "gold": (
        lambda found: [s["instance"]["references"][i].update(tags=["correct"])
                       for s in found["request_states"][:3] for i in range(3)],
        "its `exact_match` is 0.0 in per_instance_stats.json",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_broken_instance(run: Path, name: str) -> None:
    change, why = CHANGES[name]
    path = changed(run, change)
    with pytest.raises(InvalidInputError) as caught:
        read_runs([run])
    assert str(caught.value).startswith(f"{path}, instance 1: ") and why in str(caught.value)
    samples = only(run, skip_bad=True)
    assert len(samples) == 5
    assert any("1 document left out, the first of them instance 1" in n for n in samples.notes)


def test_what_is_no_request(run: Path) -> None:
    changed(run, lambda found: found["request_states"].insert(0, "\x1b[31m"))
    with pytest.raises(InvalidInputError, match=r"instance 1: a field holds what it must not"):
        read_runs([run])
    assert len(only(run, skip_bad=True)) == 6


def test_a_file_that_was_cut_off(run: Path) -> None:
    path = run / "scenario_state.json"
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    with pytest.raises(InvalidInputError, match=r"at its end: .* the file is cut off"):
        read_runs([run])
    samples = only(run, skip_bad=True)
    assert 0 < len(samples) < 6 and any("the file is cut off" in note for note in samples.notes)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the file is empty"),
        ("[]", "no `adapter_spec` before `request_states`"),
        ("{}", "no `adapter_spec`"),
        ('{"adapter_spec": {"method": "multiple_choice_joint"}}', "holds no document"),
        (
            '{"adapter_spec": {"method": "multiple_choice_joint"}, "request_states": 5}',
            "holds no document",
        ),
    ],
)
def test_files_that_are_none(run: Path, text: str, why: str) -> None:
    (run / "scenario_state.json").write_text(text)
    with pytest.raises(InvalidInputError, match=why) as caught:
        read_runs([run], skip_bad=text.endswith("5}"))
    assert str(run) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[{}]", '[{"stats": 1}]', "{", '[{"instance_id": "a"'])
def test_damaged_figures(run: Path, text: str) -> None:
    (run / "per_instance_stats.json").write_text(text)
    with pytest.raises(InvalidInputError, match=r"per_instance_stats\.json"):
        read_runs([run], skip_bad=True)


def test_without_helm_s_figures(suite: Path, run: Path) -> None:
    before = only(run)
    (run / "per_instance_stats.json").unlink()
    after = only(run)
    assert (after.predictions.confidence == before.predictions.confidence).all()
    assert any("no per_instance_stats.json lies beside it" in note for note in after.notes)
    joint = suite / f"{JOINT},model=huggingface_bytes"
    (joint / "per_instance_stats.json").unlink()
    with pytest.raises(InvalidInputError, match="`max_prob` and `exact_match` of it are not in"):
        read_runs([joint])


def test_perturbations_splits_and_trials(run: Path) -> None:
    def more(found: Any) -> None:
        states = json.dumps(found["request_states"])
        perturbed, valid, again = json.loads(states), json.loads(states), json.loads(states)
        for state in perturbed:
            state["instance"]["perturbation"] = {"name": "typos"}
        for state in valid:
            state["instance"]["split"] = "valid"
        for state in again:
            state["train_trial_index"] = 1
        found["request_states"] += perturbed + valid + again

    changed(run, more)
    (run / "per_instance_stats.json").unlink()
    samples = only(run)
    assert len(samples) == 12
    notes = " ".join(samples.notes)
    assert "6 perturbed instances are not read" in notes
    assert "read is the split test, not the 6 of valid" in notes
    assert "2 trials: each answer counts as a document of its own" in notes


def test_ties(run: Path) -> None:
    def tie(found: Any) -> None:
        for state in found["request_states"][:3]:
            for token in completion(state)["tokens"]:
                token["logprob"] = -1.0

    def third(found: Any) -> None:
        for stat in found[0]["stats"]:
            stat["mean"] = {"max_prob": 1 / 3, "exact_match": 1 / 3}.get(stat["name"]["name"], 0)

    changed(run, tie)
    changed(run, third, "per_instance_stats.json")
    samples = only(run)
    assert samples.predictions.confidence[0] == pytest.approx(1 / 3)
    assert any("1 instances have several best options" in note for note in samples.notes)


def test_what_was_recorded_must_be_possible(suite: Path) -> None:
    joint = suite / f"{JOINT},model=huggingface_bytes"
    for name, value, why in [
        ("max_prob", 7, "must be a number of at most 1"),
        ("max_prob", -1, "must be from 0 to 1"),
        ("exact_match", 0.5, "`exact_match` must be 0 or 1, got 0.5"),
    ]:

        def change(found: Any, name: str = name, value: Any = value) -> None:
            for stat in found[0]["stats"]:
                if stat["name"]["name"] == name:
                    stat["mean"] = value

        before = (joint / "per_instance_stats.json").read_bytes()
        changed(joint, change, "per_instance_stats.json")
        with pytest.raises(InvalidInputError, match=why):
            read_runs([joint])
        assert len(only(joint, skip_bad=True)) == 5
        (joint / "per_instance_stats.json").write_bytes(before)


def test_memory_is_that_of_an_instance(run: Path) -> None:
    import tracemalloc

    path = run / "scenario_state.json"
    found = json.loads(path.read_text())
    first = found["request_states"][:3]
    for state in first:
        state["request"]["prompt"] = "x" * 100_000
    (run / "per_instance_stats.json").unlink()
    with path.open("w") as file:
        file.write(json.dumps({"adapter_spec": found["adapter_spec"], "request_states": []})[:-2])
        for i in range(100):
            for state in first:
                state["instance"]["id"] = f"id{i}"
            file.write((", " if i else "") + json.dumps(first)[1:-1])
        file.write("]}")
    tracemalloc.start()
    samples = only(run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == 100 and len(np.unique(samples.doc_hash)) == 100
    assert peak < 16 << 20 < path.stat().st_size
