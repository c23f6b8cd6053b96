"""`--use_cache` when a run ends in its middle: what was answered is kept, and not asked again."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distrust import distrust
from lm_eval import simple_evaluate
from lm_eval.api.model import CachingLM, hash_args
from lm_eval.models.huggingface import HFLM
from release import answers
from requesting import requested
from sqlitedict import SqliteDict
from watched import Cut, Scissors, watch

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.identity import identity
from lm_eval_calibration.models.shared.resuming import Computed
from lm_eval_calibration.models.swag import SwagLM
from lm_eval_calibration.models.thermometer import ThermometerLM
from lm_eval_calibration.scoring.network import Network

TASKS = ["calib_toy_norm", "toy_mutual"]
MODELS = ["hf-fast", "thermometer", "swag", "mc_dropout"]
Make = Callable[[str], Any]


@pytest.fixture
def make(tiny_model: Path, thermometer_folder: Path, swag_folder: Path) -> Make:
    """A model by name, which computes a few documents at a time."""

    def made(name: str) -> Any:
        settings = {
            "pretrained": str(tiny_model), "device": "cpu", "dtype": "float32", "batch_tokens": 200,
        }  # fmt: skip
        if name == "hf-fast":
            return FastHFLM(**settings)
        if name == "thermometer":
            return ThermometerLM(thermometer=str(thermometer_folder), **settings)
        method = {"method": name} if name == "mc_dropout" else {}
        return SwagLM(swag=str(swag_folder), samples=2, scale=1.0, **method, **settings)

    return made


def evaluate(lm: Any, tasks: Any, cache: Path | None = None, limit: int = 10) -> dict[str, Any]:
    found = simple_evaluate(
        model=lm, tasks=TASKS, task_manager=tasks, limit=limit, bootstrap_iters=0,
        use_cache=cache and str(cache),
    )  # fmt: skip
    return dict(found)


def assert_equal(found: dict[str, Any], expected: dict[str, Any], within: float = 0.0) -> None:
    for task in expected["samples"]:
        for a, b in zip(found["samples"][task], expected["samples"][task], strict=True):
            ours, theirs = ([x[0] for x in answers(s)] for s in (a, b))
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=within)
    for task, row in expected["results"].items():
        for key, value in row.items():
            if isinstance(value, float):
                assert found["results"][task][key] == pytest.approx(value, abs=1e-4), key


@pytest.mark.parametrize("name", MODELS)
def test_a_run_that_was_cut_goes_on(
    name: str, make: Make, tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the rest is asked for; all of it were it dropout, whose noise is that of a whole pass."""
    whole, rest, again = Scissors(), Scissors(), Scissors(0)
    hand: list[Scissors] = [whole]
    watch(monkeypatch, lambda requests: hand[0](requests))
    undisturbed = evaluate(make(name), tasks)
    hand[0] = cut = Scissors(whole.passes // 2)
    with pytest.raises(Cut):
        evaluate(make(name), tasks, tmp_path / "cache")
    hand[0] = rest
    resumed = evaluate(make(name), tasks, tmp_path / "cache")
    assert 0 < len(cut.told) < len(whole.told)
    assert_equal(resumed, undisturbed, 1e-4)
    if name == "mc_dropout":
        assert_equal(resumed, undisturbed)
    else:
        assert Counter(cut.told) + Counter(rest.told) == Counter(whole.told)
    hand[0] = again
    assert_equal(evaluate(make(name), tasks, tmp_path / "cache"), resumed)


@pytest.mark.parametrize("name", ["hf-fast", "thermometer", "swag"])
def test_a_cache_changes_no_number(name: str, make: Make, tasks: Any, tmp_path: Path) -> None:
    assert_equal(evaluate(make(name), tasks, tmp_path / "cache"), evaluate(make(name), tasks))


def test_a_temperature_comes_from_all_documents_whatever_is_kept(
    make: Make, tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer documents before, another thermometer or a plain run in the same cache."""
    told = Scissors()
    watch(monkeypatch, told)
    evaluate(make("hf-fast"), tasks, tmp_path / "cache", limit=4)
    evaluate(make("thermometer"), tasks, tmp_path / "cache", limit=6)
    first = len(told.told)
    lm, alone = make("thermometer"), make("thermometer")
    found = evaluate(lm, tasks, tmp_path / "cache")
    assert 0 < len(told.told) - first < first
    assert_equal(found, evaluate(alone, tasks), 1e-4)
    for task, t in lm.temperatures.items():
        assert t["prompts"] == alone.temperatures[task]["prompts"] == 10
        assert t["temperature"] == pytest.approx(alone.temperatures[task]["temperature"], rel=1e-5)
    lm._thermometer.centre[:] += 1.0
    lm.temperatures.clear()
    evaluate(lm, tasks, tmp_path / "cache")
    assert lm.temperatures["toy_norm"]["temperature"] != pytest.approx(
        alone.temperatures["toy_norm"]["temperature"], rel=1e-5
    )


def test_a_plain_run_does_not_read_what_others_made(make: Make, tasks: Any, tmp_path: Path) -> None:
    plain = evaluate(make("hf-fast"), tasks)
    for name in ("thermometer", "swag"):
        evaluate(make(name), tasks, tmp_path / "cache")
    assert_equal(evaluate(make("hf-fast"), tasks, tmp_path / "cache"), plain)


def test_draws_of_other_weights_are_others(
    make: Make, tiny_model: Path, swag_folder: Path, tasks: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """More draws ask only for the new ones; another seed or scale for all."""
    told = Scissors()
    watch(monkeypatch, told)
    settings = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32"}
    counts = []
    for more in ({"samples": 2}, {"samples": 3}, {"samples": 3, "seed": 1}, {"samples": 3}):
        lm = SwagLM(swag=str(swag_folder), **{"scale": 1.0, **settings, **more})
        before = len(told.told)
        evaluate(lm, tasks, tmp_path / "cache")
        counts.append(len(told.told) - before)
    assert counts == [counts[0], counts[0] // 2, counts[0] * 3 // 2, 0]


def requests(kind: str, arguments: list[tuple[Any, ...]]) -> list[Any]:
    return [requested(kind, a) for a in arguments]


SETTINGS = {"until": ["."], "max_gen_toks": 5, "do_sample": False}
KINDS: dict[str, list[tuple[Any, ...]]] = {
    "loglikelihood_rolling": [("words " * n,) for n in (3, 900, 4, 5)],
    "generate_until": [(f"Once {i}", SETTINGS) for i in range(6)],
    "loglikelihood": [(f"item {i}", f" is {k}") for i in range(6) for k in range(2)],
}


BATCHES = {
    "loglikelihood_rolling": (HFLM, "_loglikelihood_tokens"),
    "generate_until": (Network, "step"),
    "loglikelihood": (HFLM, "_model_call"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_request_is_kept_as_it_comes(
    kind: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rolling log-likelihoods, generation, and options of a model that is left to `hf`."""
    lm = FastHFLM(
        pretrained=str(tiny_model), device="cpu", dtype="float32", batch_size=2, max_length=1024
    )
    asked = requests(kind, KINDS[kind])
    expected = getattr(lm, kind)(asked)
    if kind == "loglikelihood":
        distrust(lm, "its architecture is not our kind")
    owner, name = BATCHES[kind]
    whole, after, batches = getattr(owner, name), 3, [0]
    if kind == "generate_until":  # (a text of five tokens takes four steps)
        after = 10

    def cut(self: Any, *arguments: Any, **options: Any) -> Any:
        if batches[0] == after:
            raise Cut
        batches[0] += 1
        return whole(self, *arguments, **options)

    monkeypatch.setattr(owner, name, cut)
    batches[0] = 1
    cache = CachingLM(lm, str(tmp_path / "cache.db"))
    with pytest.raises(Cut):
        getattr(cache, kind)(asked)
    kept = len(cache.dbdict)
    assert 0 < kept < len(asked)
    after, batches[0] = 100, 0
    found = getattr(CachingLM(lm, str(tmp_path / "cache.db")), kind)(asked)
    assert 0 < batches[0] <= (len(asked) - kept + 1) * (4 if kind == "generate_until" else 1)
    if kind == "generate_until":
        assert found == expected
    else:
        ours, theirs = ([x if isinstance(x, float) else x[0] for x in y] for y in (found, expected))
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-4)


def test_a_cache_that_cannot_be_written_is_one_line(make: Make, tasks: Any, tmp_path: Path) -> None:
    for name in ("hf-fast", "thermometer", "swag"):
        lm = make(name)
        cache = CachingLM(lm, str(tmp_path / f"{name}.db"))
        cache.dbdict["a"] = "room for one page"
        cache.dbdict.conn.execute("PRAGMA max_page_count = 3")  # a full disk, for SQLite
        task = tasks.load(["toy_norm"])["tasks"]["toy_norm"]
        task.build_all_requests(limit=40, rank=0, world_size=1)
        with pytest.raises(CalibrationError, match=r"\.db cannot be written \(.*full\)") as caught:
            cache.loglikelihood(task.instances)
        assert "\n" not in str(caught.value)
        assert not isinstance(caught.value, sqlite3.Error)


def test_nan_is_not_kept(tmp_path: Path) -> None:
    cache: dict[str, Any] = {}
    kept = Computed(cache, "a model")
    kept.keep({("a", "b"): (float("nan"), False)})
    assert not cache and kept.known([("a", "b")]) == {}
    kept.keep({("a", "b"): (-1.0, True)})
    assert kept.known([("x", "y"), ("a", "b")]) == {1: (-1.0, True)}
    assert Computed(cache, "another").known([("a", "b")]) == {}


class _Bomb:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("exploded"),))


LIES = [(5.0, True), (math.nan, True), "text", None, (-1.0, True, 0), _Bomb(), b"bytes", {}]


def test_rows_that_lie_are_asked_again_and_run_nothing(
    tiny_model: Path, workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lm = FastHFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")
    asked = requests("loglikelihood", KINDS["loglikelihood"])
    path = str(workspace / "cache.db")
    expected = CachingLM(lm, path).loglikelihood(asked)
    who = identity(lm)
    with SqliteDict(path, autocommit=True) as rows:
        for request, lie in zip(asked, LIES, strict=False):
            rows[f"{who}:{hash_args('loglikelihood', request.args)}"] = lie
        key = f"{who}:{hash_args('loglikelihood', asked[len(LIES)].args)}"
        rows.conn.execute("REPLACE INTO unnamed VALUES (?, ?)", (key, b"\x80\x05cut"))
    np.testing.assert_allclose(CachingLM(lm, path).loglikelihood(asked), expected, atol=1e-4)
    assert f"{len(LIES) + 1} answers in `{path}` could not be used" in caplog.text
    assert not (workspace / "exploded").exists()
    caplog.clear()
    assert len(CachingLM(lm, path).loglikelihood(asked)) == len(asked)
    assert "could not be used" not in caplog.text


def test_what_was_computed_is_read_with_care(tmp_path: Path) -> None:
    with SqliteDict(str(tmp_path / "cache.db"), autocommit=True) as rows:
        for lie in [*LIES[:5], b"bytes", {}, math.inf]:
            computed = Computed(rows, "name")
            computed.keep({("a",): 0.5})
            rows[computed._key(("a",))] = lie
            assert computed.known([("a",)]) == {}
        computed.keep({("a",): 1.5, ("b",): (-2.0, False)})
        assert computed.known([("a",), ("b",)]) == {0: 1.5, 1: (-2.0, False)}
