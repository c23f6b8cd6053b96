"""Logs that inspect_ai 0.3.285 wrote (`fixtures/make_inspect.py`), and logs that are broken."""

from __future__ import annotations

import copy
import gzip
import json
import math
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Samples, read_documents, read_runs
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, OtherTypeError
from lm_eval_calibration.logs.formats.inspect_ai import INSPECT
from lm_eval_calibration.logs.formats.inspect_ai.answer import asked
from lm_eval_calibration.logs.formats.inspect_ai.files import header_of, samples_of
from lm_eval_calibration.logs.formats.inspect_ai.sample import ReadSample, read
from lm_eval_calibration.testing import check_format

LOGS = Path(__file__).parents[1] / "fixtures" / "inspect"


@pytest.fixture
def one(tmp_path: Path) -> dict[str, Any]:
    """A sample of a log, and room for broken ones."""
    (path,) = (LOGS / "as_json").glob("*.gz")
    log = json.loads(gzip.decompress(path.read_bytes()))
    log["samples"] = [s for s in log["samples"] if s["id"] != "bird"]
    return log


def saved(folder: Path, log: dict[str, Any]) -> Path:
    path = folder / "log.json"
    path.write_text(json.dumps(log))
    return path


def only(path: Path, skip_bad: bool = False) -> Samples:
    (run,), _ = read_runs([path], skip_bad=skip_bad)
    (samples,) = run.samples.values()
    return samples


def accuracy(path: Path) -> float:
    found = header_of(path).results["scores"][0]["metrics"]["accuracy"]["value"]
    assert isinstance(found, float)
    return found


def test_laws(tmp_path: Path) -> None:
    shutil.copytree(LOGS / "models", tmp_path / "logs" / "models")
    (packed,) = (LOGS / "as_json").glob("*.gz")
    plain = tmp_path / "logs" / "json" / packed.stem
    plain.parent.mkdir()
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    check_format(INSPECT, tmp_path / "logs")


def test_models_and_tasks_of_one_folder() -> None:
    runs, left_out = read_runs([LOGS / "models"])
    assert not left_out
    assert {run.label: sorted(run.samples) for run in runs} == {
        "clear": ["quiz", "quiz(level=hard)", "shuffled"],
        "vague": ["quiz"],
    }


def test_accuracy_is_the_log_s_own() -> None:
    runs, _ = read_runs([LOGS / "models"])
    for samples in (s for run in runs for s in run.samples.values()):
        right = samples.predictions.correct
        by_sample = [right[samples.doc_hash == one].mean() for one in np.unique(samples.doc_hash)]
        assert np.mean(by_sample) == pytest.approx(accuracy(samples.path))
        balanced = np.mean(right) == pytest.approx(accuracy(samples.path))
        assert balanced != any("the log's own accuracy" in note for note in samples.notes)


def test_both_formats_say_the_same() -> None:
    (packed,) = (LOGS / "as_json").glob("*.gz")
    (clear, _), _ = read_runs([LOGS / "models"])
    zipped, listed = clear.samples["quiz"], only(packed)
    order, other = (np.lexsort((s.predictions.confidence, s.doc_hash)) for s in (zipped, listed))
    assert len(listed) == 11
    assert (zipped.doc_hash[order] == listed.doc_hash[other]).all()
    assert zipped.predictions.confidence[order] == pytest.approx(
        listed.predictions.confidence[other]
    )
    for samples in (zipped, listed):
        assert any(n.startswith("1 sample left out that ended in an error") for n in samples.notes)
        assert any("11 answers to 6 samples (epochs)" in note for note in samples.notes)
        assert any("other tokens there held 0.66% on average" in note for note in samples.notes)


def test_beliefs_are_those_of_the_letters(one: dict[str, Any]) -> None:
    sample = one["samples"][0]
    top = sample["output"]["choices"][0]["logprobs"]["content"][2]["top_logprobs"]
    masses = dict.fromkeys("ABCD"[: len(sample["choices"])], 0.0)
    for each in top:
        if each["token"].strip() in masses:
            masses[each["token"].strip()] += math.exp(each["logprob"])
    found = read(sample, 0)
    assert isinstance(found, ReadSample)
    assert np.exp(found.belief.logits) == pytest.approx([*masses.values()])
    assert found.outside == pytest.approx(1 - sum(masses.values()))
    assert found.belief.gold == ("ABCD".index(sample["target"]),)


def test_options_that_the_solver_shuffled() -> None:
    """The log tells the order that the model saw in its score's explanation only."""
    (path,) = (LOGS / "models").glob("*shuffled*")
    moved = 0
    for each in samples_of(path):
        sample = each.value
        found = read(sample, 0)
        assert isinstance(found, ReadSample)
        seen = [
            line.partition(") ")[2]
            for line in sample["scores"]["choice"]["explanation"].split("\n")
            if line[1:3] == ") "
        ]
        content = sample["output"]["choices"][0]["logprobs"]["content"]
        straight = asked(content, len(seen))
        by_text = dict(zip(seen, straight.logits, strict=True))
        assert found.belief.logits == [by_text[option] for option in sample["choices"]]
        moved += seen != sample["choices"]
    assert moved > 3


def test_texts_of_documents() -> None:
    for path in ((LOGS / "models"), (LOGS / "as_json")):
        runs, _ = read_runs([path])
        samples = runs[0].samples["quiz"]
        shown = read_documents(samples, [*range(len(samples))])
        first, last = next(d for d in shown if d.doc_id == "capital/fr"), shown[-1]
        assert first.doc_id == "capital/fr" and first.prompt == "What is the capital of France?"
        assert first.options == ("Lyon", "Paris", "Nice", "Lille") and first.gold == (1,)
        assert sum(first.probabilities) == pytest.approx(1)
        assert last.confidence == samples.predictions.confidence[-1]


def test_without_log_probabilities() -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_runs([LOGS / "none"])
    message = str(caught.value)
    assert (
        "no confidence in this file: run `inspect eval` with --logprobs --top-logprobs 20"
        in message
    )
    assert "essay" in message and "its samples have no options" in message


def test_runs_without_confidence_are_left_out_beside_others() -> None:
    runs, left_out = read_runs([LOGS], skip_bad=True)
    assert "dumb" not in {run.label for run in runs} and len(left_out) == 2


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("silent", "the answer 'None' gives no letter of an option, so no belief"),
        ("short", "C not among its 3 most likely tokens, and may hold 1.5% of the options'"),
    ],
)
def test_samples_without_a_belief(folder: str, why: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_runs([LOGS / folder])
    assert why in str(caught.value) and "_epoch_1.json`" in str(caught.value)
    samples = only(LOGS / folder, skip_bad=True)
    assert len(samples) < 4
    assert any("left out, the first of them" in note for note in samples.notes)


def token(text: str, logprob: Any, top: dict[str, Any] | None) -> dict[str, Any]:
    listed = [{"token": t, "logprob": p} for t, p in (top or {}).items()]
    return {"token": text, "logprob": logprob, "top_logprobs": listed or None}


@pytest.mark.parametrize(
    ("texts", "letter"),
    [
        (["ANSWER", ":", " B"], 1),
        (["Let me think: A is wrong.\n", "ANSWER: ", "B", "."], 1),
        (["ANSWER: A\n", "No.\nANSWER", ": ", "B"], 1),
        (["**", "ANSWER", ":", " **", "b", "**"], 1),
        (["ANSWER:", " $", "B", "$"], 1),
        ([" B"], 1),
        (["(", "B", ")"], 1),
        (["ANSWER", ":", "▁B"], 1),
    ],
)
def test_where_the_letter_stands(texts: list[str], letter: int) -> None:
    content = [
        token(text, -0.2, {"A": -2.0, text: -0.2, "Z": -5.0} if "B" in text.upper() else None)
        for text in texts
    ]
    assert asked(content, 2).letter == letter


def test_an_option_that_is_not_listed_is_bounded() -> None:
    content = [token("A", -0.001, {"A": -0.001, "B": -7.5, "?": -9.0})]
    found = asked(content, 3)
    assert found.logits[2] <= -9.0
    with pytest.raises(BadLineError, match="C not among its 2 most likely tokens, and may hold"):
        asked([token("A", -0.7, {"A": -0.7, "B": -0.9})], 3)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ([token("A", -0.1, None)], "no log-probabilities of several tokens"),
        ([token("A", -0.1, {"A": math.nan})], "`logprob` must be a number of at most 0.001"),
        ([token("A", -0.1, {"A": 3.0})], "must be a number"),
        ([token("A", "x", {"B": -1.0})], "must be a number"),
        ([token("A", -0.1, {"A": -0.1, "B": -0.1})], "add up to 1.81"),
        ([token("F", -0.1, {"F": -0.1})], "gives no letter of an option"),
        ([token("ANSWER: A", -0.1, {"ANSWER: A": -0.1})], "is no token of its own"),
    ],
)
def test_log_probabilities_that_cannot_be(content: list[Any], why: str) -> None:
    with pytest.raises((BadLineError, OtherTypeError), match=why):
        asked(content, 2)


def put(*keys: Any) -> Callable[[dict[str, Any]], None]:
    """Set what the keys but the last lead to."""

    def change(sample: dict[str, Any]) -> None:
        *way, last, value = keys
        place: Any = sample
        for key in way:
            place = place[key]
        place[last] = value

    return change


CHANGES = {
    "choices": (put("choices", "ABCD"), "`choices` must be a list of texts"),
    "one": (put("choices", ["a"]), "2 to 26 options"),
    "many": (put("choices", ["a"] * 27), "2 to 26 options"),
    "target": (put("target", "Z"), "`target` must be the letter of one option"),
    "targets": (put("target", ["A", "B"]), "`target` must be the letter of one option"),
    "output": (put("output", None), "a field holds what it must not"),
    "answer": (put("output", "choices", []), "`output` holds no answer"),
    "tokens": (put("output", "choices", 0, "logprobs", "content", [1]), "holds what it must not"),
    "verdict": (put("scores", "choice", "value", "N"), "its score is 'N', but the letter"),
    "shuffled": (
        put("scores", "choice", "explanation", "Choices were shuffled before generating a "
            "response, the following was sent to the model:\n\nA) x\nShuffled answer:\nA"),
        "its options were shuffled, and not told how",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_broken_sample(tmp_path: Path, one: dict[str, Any], name: str) -> None:
    change, why = CHANGES[name]
    right = next(i for i, s in enumerate(one["samples"]) if s["scores"]["choice"]["value"] == "C")
    broken = copy.deepcopy(one["samples"][right])
    change(broken)
    one["samples"][right] = broken
    path = saved(tmp_path, one)
    with pytest.raises(InvalidInputError) as caught:
        read_runs([path])
    assert f"{path}, sample {right + 1}: " in str(caught.value) and why in str(caught.value)
    samples = only(path, skip_bad=True)
    assert len(samples) == len(one["samples"]) - 1
    assert any("1 document left out" in note for note in samples.notes)


def test_scores_of_other_scorers(tmp_path: Path, one: dict[str, Any]) -> None:
    for sample in one["samples"]:
        right = sample["scores"].pop("choice")["value"] == "C"
        sample["scores"]["match"] = {"value": float(right)}
    assert len(only(saved(tmp_path, one))) == len(one["samples"])
    for sample in one["samples"]:
        sample["scores"]["match"] = {"value": {"a": 1}}
    assert len(only(saved(tmp_path, one))) == len(one["samples"])


def test_answers_that_are_not_the_most_likely(tmp_path: Path, one: dict[str, Any]) -> None:
    sample = one["samples"][0]
    content = sample["output"]["choices"][0]["logprobs"]["content"]
    content[2] = token(" C", -2.0, {" B": -0.3, " C": -2.0, " A": -4.0, " D": -4.0})
    sample["scores"]["choice"]["value"] = "I"
    one["samples"] = [sample]
    samples = only(saved(tmp_path, one))
    p = samples.predictions
    assert p.predicted is not None and p.predicted.tolist() == [2] and not p.correct[0]
    assert p.confidence[0] == pytest.approx(
        math.exp(-2) / (math.exp(-0.3) + math.exp(-2) + 2 * math.exp(-4))
    )
    assert any("1 of 1 answers are not the most likely letter" in n for n in samples.notes)


def test_prompts_of_messages(tmp_path: Path, one: dict[str, Any]) -> None:
    parts = [{"type": "text", "text": "Which?"}, {"type": "image", "image": "data:"}]
    one["samples"][0]["input"] = [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": parts},
    ]  # fmt: skip
    (shown,) = read_documents(only(saved(tmp_path, one)), [0])
    assert shown.prompt == "Be brief.\nWhich?"


def test_secrets_of_the_model_s_arguments(tmp_path: Path, one: dict[str, Any]) -> None:
    secret = "sk-" + "a1" * 20
    one["eval"]["model_args"] = {"api_key": secret}
    one["eval"]["task_args_passed"] = {"judge": {"api_key": secret}, "level": "easy"}
    one["samples"][0]["input"] = f"my key is {secret}"
    samples = only(saved(tmp_path, one))
    assert secret not in samples.task and "level=easy" in samples.task
    (shown,) = read_documents(samples, [0])
    assert secret not in shown.prompt and "my key is" in shown.prompt


def rezipped(path: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The same log, compressed as older releases did, with members changed or left out."""
    from lm_eval_calibration.logs.formats.inspect_ai.members import opened, read_member

    with opened(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            data = change(member.filename, read_member(old, member))
            if data is not None:
                new.writestr(member.filename, data)
    return target


@pytest.fixture
def zipped() -> Path:
    return min((LOGS / "models").glob("*.eval"))


def test_zips_of_older_releases(zipped: Path, tmp_path: Path) -> None:
    old = rezipped(zipped, tmp_path / "old.eval", lambda name, data: data)
    assert only(old).predictions.confidence.tolist() == only(zipped).predictions.confidence.tolist()


def test_a_run_that_did_not_end(zipped: Path, tmp_path: Path) -> None:
    def stopped(name: str, data: bytes) -> bytes | None:
        return None if name in ("header.json", "summaries.json") else data

    samples = only(rezipped(zipped, tmp_path / "stopped.eval", stopped))
    assert samples.task == "quiz" and len(samples) == 11

    def failed(name: str, data: bytes) -> bytes:
        return data.replace(b'"status":"success"', b'"status":"error"')

    samples = only(rezipped(zipped, tmp_path / "failed.eval", failed))
    assert any("its status is 'error'" in note for note in samples.notes)


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\5\6" + bytes(18), b"PK\3\4" * 100])
def test_zips_that_are_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "2026-01-01T00-00-00+00-00_arc\x1b[31m_x.eval"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as caught:
        read_runs([path], skip_bad=True)
    assert "no log of inspect_ai" in str(caught.value) and "\x1b" not in str(caught.value)


def test_a_damaged_member(zipped: Path, tmp_path: Path) -> None:
    data = bytearray(zipped.read_bytes())
    with zipfile.ZipFile(zipped) as archive:
        member = archive.getinfo("samples/metal_epoch_1.json")
    middle = member.header_offset + 200
    data[middle : middle + 50] = bytes(50)
    path = tmp_path / "damaged.eval"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"`samples/metal_epoch_1.json`: it is damaged"):
        read_runs([path])
    assert len(only(path, skip_bad=True)) == 10


def test_members_with_names_that_lead_elsewhere(zipped: Path, tmp_path: Path) -> None:
    path = tmp_path / "names.eval"
    shutil.copyfile(zipped, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("samples/../../\x1b]0;x\x07_epoch_1.json", b"{}")
        archive.writestr("/etc/passwd", b"x")
    with pytest.raises(InvalidInputError, match=r"samples/\.\./") as caught:
        read_runs([path])
    assert "\x1b" not in str(caught.value)
    assert len(only(path, skip_bad=True)) == 11


def test_a_log_that_was_cut_off(tmp_path: Path, one: dict[str, Any]) -> None:
    text = json.dumps(one, indent=2)
    path = tmp_path / "cut.json"
    path.write_text(text[: len(text) // 2])
    with pytest.raises(InvalidInputError, match="the file is cut off"):
        read_runs([path])
    assert 0 < len(only(path, skip_bad=True)) < len(one["samples"])


def test_a_log_that_changed_since(zipped: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    shutil.copyfile(zipped, path)
    samples = only(path)
    rezipped(zipped, path, lambda name, data: None if "metal" in name else data + b" ")
    with pytest.raises(InvalidInputError, match="was changed since it was read"):
        read_documents(samples, [len(samples) - 1])
