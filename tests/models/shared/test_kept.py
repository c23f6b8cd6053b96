"""What a wrapper keeps between runs, and cache files of every kind."""

from __future__ import annotations

import json
import logging
import math
import pickle
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lm_eval import simple_evaluate
from lm_eval.api.model import CachingLM, hash_args
from release import OLD
from requesting import requested
from scripted_base import Scripted
from sqlitedict import SqliteDict

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.harness.api import rolling_answer
from lm_eval_calibration.harness.requests import GENERATE, LOGLIKELIHOOD, ROLLING
from lm_eval_calibration.models.p_true import PTrueLM
from lm_eval_calibration.models.self_consistency import SelfConsistencyLM
from lm_eval_calibration.models.shared.answers import UnusableError, checked
from lm_eval_calibration.models.shared.kept import HARNESS, OURS, Kept
from lm_eval_calibration.models.shared.phases import Phases
from lm_eval_calibration.models.verbalized import VerbalizedLM
from lm_eval_calibration.stated import StatedAnswer, Statement

ANSWERS = {
    GENERATE: ["", "yes", "\x00\u2028\U0001f600", "x" * 100_000],
    LOGLIKELIHOOD: [(-1.5, True), (-math.inf, False), (0.0, False), (1e-6, True)],
    ROLLING: [rolling_answer(-12.5), rolling_answer(-math.inf)],
}
UNUSABLE: dict[str, list[Any]] = {
    GENERATE: [5, True, ["no", "parts"], {"text": "a"}, (0.0, True), b"bytes"],
    LOGLIKELIHOOD: [
        (math.nan, True), (math.inf, True), (3.5, True), (True, True), ("-1", True), (-1.0,),
        (-1.0, "yes"), (-1.0, None), -1.0, "text", [], {}, (None, False), ([], False),
    ],
    ROLLING: [math.nan, math.inf, 3.5, True, "-1", *([(-1.0, True)] if OLD else []), []],
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


class Fixed:
    """A base that says one thing, and counts what it is asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.count = answer, 0

    def set_cache_hook(self, hook: Any) -> None:
        """Nothing is reported."""

    def _ask(self, requests: list[Any]) -> list[Any]:
        self.count += len(requests)
        return [self.answer] * len(requests)

    generate_until = loglikelihood = loglikelihood_rolling = _ask


def request(kind: str, number: int = 0) -> Any:
    second = {"until": []} if kind == GENERATE else " A"
    arguments = (f"prompt {number}",) if kind == ROLLING else (f"prompt {number}", second)
    return requested(kind, arguments, of=("toy", 7 + number))


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SqliteDict]:
    """A cache as an older release opened it."""
    with SqliteDict(str(tmp_path / "cache.db"), autocommit=True) as rows:
        yield rows


@given(JSON, st.sampled_from([GENERATE, LOGLIKELIHOOD, ROLLING]))
def test_whatever_is_said_is_an_answer_or_a_reason(said: Any, kind: str) -> None:
    try:
        found = checked(kind, said)
    except UnusableError:
        return
    text = json.dumps(found, ensure_ascii=False).encode()
    assert checked(kind, json.loads(text)) == found


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_come_back_as_they_were(kind: str, file: SqliteDict) -> None:
    for number, answer in enumerate(ANSWERS[kind]):
        phases = Phases(Fixed(answer), "x")
        phases.cache = Kept(Path(file.filename))
        assert phases.forward(kind, [request(kind, number)]) == [answer]
        again = Phases(Fixed("never asked"), "x")
        again.cache = Kept(Path(file.filename))
        assert again.forward(kind, [request(kind, number)]) == [answer]
        assert again.base.count == 0


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_of_older_releases_are_read(kind: str, file: SqliteDict) -> None:
    for answer in ANSWERS[kind]:
        file[hash_args(kind, request(kind).args)] = answer
        phases = Phases(Fixed("never asked"), "x")
        phases.cache = Kept(Path(file.filename))
        assert phases.forward(kind, [request(kind)]) == [answer] and phases.base.count == 0


@pytest.mark.parametrize("kind", UNUSABLE)
def test_what_cannot_be_used_is_asked_again_and_replaced(
    kind: str, file: SqliteDict, caplog: pytest.LogCaptureFixture
) -> None:
    good = ANSWERS[kind][1]
    for number, bad in enumerate(UNUSABLE[kind]):
        file[hash_args(kind, request(kind, number).args)] = bad
    requests = [request(kind, number) for number in range(len(UNUSABLE[kind]))]
    for asked in (len(requests), 0):
        phases = Phases(Fixed(good), "x")
        phases.cache = Kept(Path(file.filename))
        with caplog.at_level(logging.WARNING):
            assert phases.forward(kind, requests) == [good] * len(requests)
        assert phases.base.count == asked
        said = f"x: {len(requests)} answers in `{file.filename}` could not be used"
        assert (said in caplog.text) == bool(asked)
        caplog.clear()


@pytest.mark.parametrize("kind", [LOGLIKELIHOOD, ROLLING])
def test_a_number_that_is_none_is_refused_by_its_document(kind: str, file: SqliteDict) -> None:
    for bad in UNUSABLE[kind]:
        phases = Phases(Fixed(bad), "x")
        phases.cache = Kept(Path(file.filename))
        with pytest.raises(InvalidInputError, match="Task `toy`, document 7: the base answered"):
            phases.forward(kind, [request(kind)])
        assert phases.cache.get(hash_args(kind, request(kind).args), kind) is None


def test_what_a_wrapper_made_is_not_read(file: SqliteDict) -> None:
    statement = Statement((0.5, 0.5), "valid")
    for kind, made in (
        (GENERATE, Envelope("p_true", "42", 0.5).to_text()),
        (LOGLIKELIHOOD, StatedAnswer(-0.5, True, statement)),
    ):
        file["key"] = made
        kept = Kept(Path(file.filename))
        assert kept.get("key", kind) is None and kept.unusable == 0


class _Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


def test_a_cache_of_others_runs_nothing(file: SqliteDict, workspace: Path) -> None:
    file["key"] = [_Bomb()]
    rows = sqlite3.connect(file.filename)
    rows.execute(f"REPLACE INTO {HARNESS} VALUES ('cut', ?)", (pickle.dumps("whole")[:-4],))
    rows.execute(f"REPLACE INTO {HARNESS} VALUES ('text', 'no pickle'), ('null', NULL)")
    rows.commit()
    kept = Kept(Path(file.filename))
    for number, value in enumerate((b"[" * 100_000, b"\xff", b"", None, 5, '"yes"')):
        rows.execute(f"REPLACE INTO {OURS} VALUES (?, ?)", (f"ours {number}", value))
        rows.commit()
    rows.close()
    keys = ["key", "cut", "text", "null", *(f"ours {n}" for n in range(6))]
    assert [kept.get(key, GENERATE) for key in keys] == [None] * 9 + ["yes"]
    assert kept.unusable == 9 and not Path("exploded").exists()


def test_files_that_are_no_caches_are_refused_before_any_work(
    tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes_rank0.db").write_text("The user's own words, of some length. " * 40)
    (tmp_path / "folder_rank0.db").mkdir()
    (tmp_path / "dangling_rank0.db").symlink_to(tmp_path / "nowhere" / "file")
    with sqlite3.connect(tmp_path / "theirs_rank0.db") as theirs:
        theirs.execute("CREATE TABLE songs (title)")
    theirs.close()
    names = ("notes", "folder", "dangling", "theirs", "notes_rank0.db/inside")
    before = {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    for name in names:
        for lm in (VerbalizedLM(base="scripted"), Scripted()):
            with pytest.raises(InvalidInputError, match="--use_cache"):
                simple_evaluate(
                    model=lm, tasks=["toy_plain"], task_manager=tasks, limit=2,
                    use_cache=str(tmp_path / name),
                )  # fmt: skip
    assert {p: p.read_bytes() for p in tmp_path.iterdir() if p.is_file()} == before


def test_a_damaged_file_is_one_line(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "cache.db")
    for number in range(200):
        kept.put(f"key {number}", "x" * 1000)
    data = bytearray((tmp_path / "cache.db").read_bytes())
    data[4096:] = b"\x7f" * (len(data) - 4096)
    (tmp_path / "cache.db").write_bytes(data)
    with pytest.raises(InvalidInputError, match=r"cache\.db` cannot be used as a cache"):
        Kept(tmp_path / "cache.db").get("key 150", GENERATE)


def test_a_full_disk_costs_the_cache_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    phases = Phases(Fixed("x" * 50_000), "x")
    phases.cache = Kept(tmp_path / "cache.db")
    phases.cache._file.execute("PRAGMA max_page_count = 40")
    with caplog.at_level(logging.WARNING):
        found = phases.generate([request(GENERATE, n) for n in range(20)], "asking")
    assert found == ["x" * 50_000] * 20
    assert "answers cannot be kept (database or disk is full)" in caplog.text
    assert "x: 18 answers could not be kept" in caplog.text


def test_two_runs_may_write_at_once(tmp_path: Path) -> None:
    def write(name: str) -> None:
        kept = Kept(tmp_path / "cache.db")
        for number in range(300):
            kept.put(f"{name} {number}", name)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = Kept(tmp_path / "cache.db")
    assert all(kept.get(f"{name} {n}", GENERATE) == name for name in "abc" for n in range(300))


def test_answers_that_were_not_asked_for_are_refused() -> None:
    class Other(Fixed):
        def generate_until(self, requests: list[Any]) -> list[Any]:
            return ["yes"] * (len(requests) + self.answer)

    for more in (1, -1, -2):
        with pytest.raises(InvalidInputError, match=f"gave {2 + more} answers to 2 requests"):
            Phases(Other(more), "x").generate([request(GENERATE, n) for n in range(2)], "asking")


def test_halves_of_a_pair_are_replaced() -> None:
    base = Fixed("a\ud800b \ud83d\ude00 \udfff")
    (found,) = Phases(base, "x").generate([request(GENERATE)], "asking")
    assert found == "a\ufffdb \U0001f600 \ufffd" and found.encode()


def test_options_that_are_all_impossible_name_their_document() -> None:
    pairs = [request(LOGLIKELIHOOD, number) for number in (3, 3)]
    with pytest.raises(InvalidInputError, match=r"document 10: .* -inf for each of the options"):
        Phases(Fixed((-math.inf, False)), "x").probabilities(pairs, 2, "asking")


def test_a_base_that_refuses_a_cache_refuses_it_inside(
    tiny_model: Path, thermometer_folder: Path, tmp_path: Path
) -> None:
    lm = PTrueLM(
        base="thermometer", thermometer=str(thermometer_folder), pretrained=str(tiny_model),
        device="cpu", dtype="float32",
    )  # fmt: skip
    with pytest.raises(CalibrationError, match="`--use_cache` cannot be used here"):
        CachingLM(lm, str(tmp_path / "cache.db"))


def test_a_reply_is_kept_once(tasks: Any, tmp_path: Path) -> None:
    class Long(Scripted):
        def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
            return [text + " " * 100_000 for text in super().generate_until(requests, **options)]

    path = tmp_path / "cache_rank0.db"
    for lm, task, replies in (
        (VerbalizedLM(base="scripted"), "calib_toy_plain", 20),  # (too long to read: two each)
        (SelfConsistencyLM(base="scripted", candidates=2), "calib_toy_generate", 20),
    ):
        lm.base = lm.phases.base = Long()
        path.unlink(missing_ok=True)
        found = []
        for _ in range(2):
            results = simple_evaluate(
                model=lm, tasks=[task], task_manager=tasks, limit=10, bootstrap_iters=0,
                use_cache=str(tmp_path / "cache"),
            )  # fmt: skip
            found.append(json.dumps([s["resps"] for s in results["samples"][task]], default=str))
        assert found[0] == found[1] and len(lm.base.calls) == replies
        assert replies * 100_000 < path.stat().st_size < 1.1 * replies * 100_000 + 50_000
