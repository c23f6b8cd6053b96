"""What every belief source obeys: see `lm_eval_calibration.models.shared.contract`."""

from __future__ import annotations

import importlib.util
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scripted_base
from lm_eval.api.registry import get_model, register_model

from lm_eval_calibration.calibrators import fit
from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.envelope import is_envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.refusing import WRAPPERS
from lm_eval_calibration.harness.requests import KINDS
from lm_eval_calibration.models import MODELS as ALL
from lm_eval_calibration.models.shared.contract import BeliefSource
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import check_belief_source
from lm_eval_calibration.told import Told, tell

Make = Callable[..., Any]
MODELS = [name for name in ALL if name != "adapters"]
"""(That one needs vLLM: test_vllm.py.)"""
WEIGHTS = ("hf-fast", "thermometer", "swag", "calibrated")
"""Those that are asked for log-likelihoods of a model's own."""
TALKING = (*WRAPPERS, "fractal")
ASKED = ("verbalized", "option_tokens", "systemone")
"""Those that state probabilities of a document's options."""
CLOSE = 1e-4
"""Nats: rows of a batch are not computed alike in every batch."""


@register_model("steady")
class Steady(scripted_base.Scripted):
    """Says the same to a prompt's first, second, ... asking, whatever else was asked."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.times: Counter[str] = Counter()

    def reply(self, prompt: str) -> str:
        self.times[prompt] += 1
        self.calls = [("", "")] * self.times[prompt]
        return super().reply(prompt)


@pytest.fixture(scope="module")
def decisions() -> Iterator[str]:
    """The address of an exact server of decisions, if there is one."""
    if importlib.util.find_spec("jevcompat") is None:
        yield "http://127.0.0.1:9"
        return
    from jevcompat.mock import Running

    with Running() as server:
        yield server.url


@pytest.fixture
def make(
    tiny_model: Path, thermometer_folder: Path, swag_folder: Path, tmp_path: Path,
    toy_encoder: Any, decisions: str,
) -> Make:  # fmt: skip
    """A source by its name, over the tiny model or the scripted one."""
    tiny = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32", "batch_size": 8}
    overconfident = Predictions.from_options([[0.0, 9.0]] * 4, [1, 1, 1, 0])
    fit("temperature", overconfident).save_pretrained(tmp_path / "temperature")
    arguments: dict[str, dict[str, Any]] = {
        "hf-fast": tiny,
        "thermometer": {**tiny, "thermometer": str(thermometer_folder)},
        "swag": {**tiny, "swag": str(swag_folder), "samples": 2},
        "calibrated": {**tiny, "base": "hf", "calibrator": str(tmp_path / "temperature")},
        "self_consistency": {"base": "steady", "candidates": 3},
        "p_true": {"base": "steady", "ask": "verbal"},
        "likelihood": {"base": "steady"},
        "semantic_entropy": {"base": "steady", "candidates": 3},
        "beliefs": {"base": "steady", "candidates": 3},
        "self_correct": {"base": "steady", "picker": "unsure", "candidates": 3},
        "verbalized": {"base": "steady"},
        "option_tokens": {"base": "steady"},
        "systemone": {"model": "jev-latest", "base_url": decisions, "max_retries": 1},
        "fractal": {"base": "steady", "scorer": str(_scorer(tmp_path))},
        "fractal-scorer": {"scorer": str(_scorer(tmp_path))},
    }
    return lambda name, **more: get_model(name)(**{**arguments[name], **more})


def _scorer(folder: Path) -> Path:
    from command import run

    if not (folder / "scorer").exists():
        rows = [
            {"response": [f"It is {word}."], "label": int(word == "fine"), "question": f"{i}?"}
            for i, word in enumerate(["fine", "wrong"] * 20)
        ]
        table = folder / "table.jsonl"
        table.write_text("".join(json.dumps(row) + "\n" for row in rows))
        run("fit", "fractal", "--table", table, "--output", folder / "scorer", "--epochs", 1)
    return folder / "scorer"


def requests(tasks: Any, name: str) -> list[Any]:
    task = tasks.load([name])["tasks"][name]
    task.build_all_requests(limit=5, rank=0, world_size=1)
    return list(task.instances)


def sentences_of(i: int, sentences: tuple[str, ...]) -> Any:
    found = SimpleNamespace(
        task_name="calib_fractal_toy", doc_id=i, doc={"n": i}, idx=0, args=("", {})
    )
    tell(found, Told(Conversation((f"{i}?",)), sentences=sentences))
    return found


def asked(tasks: Any, name: str) -> tuple[str, list[Any]]:
    """The kind of requests that shows a source's beliefs, and some of them."""
    if name == "fractal-scorer":
        return "generate_until", [
            sentences_of(i, ("It is fine.", "It is wrong.")[: 1 + i % 2]) for i in range(4)
        ]
    if name == "systemone":
        pytest.importorskip("jevcompat", reason="jevcompat is not installed")
    if name in (*WEIGHTS, "systemone"):
        return "loglikelihood", requests(tasks, "calib_toy_norm")
    return "generate_until", requests(tasks, "calib_toy_generate")


def numbers(answers: list[Any]) -> list[float]:
    return [float(answer[0]) for answer in answers]


def same(kind: str, some: list[Any], others: list[Any]) -> None:
    if kind == "loglikelihood":
        np.testing.assert_allclose(numbers(some), numbers(others), atol=CLOSE)
        return
    for one, other in zip(some, others, strict=True):
        a, b = json.loads(one), json.loads(other)
        for scores in ("scores", "confidence"):  # (of sentences: those of a batch)
            x, y = (np.array(found.pop(scores), dtype=float) for found in (a, b))
            np.testing.assert_allclose(x, y, atol=CLOSE)
        assert a == b


@pytest.mark.parametrize("name", MODELS)
def test_the_laws(name: str, make: Make, tasks: Any) -> None:
    kind, instances = asked(tasks, name)
    check_belief_source(lambda: make(name), instances, kind)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_declared(name: str) -> None:
    kind: type[BeliefSource] = get_model(name)
    assert set(getattr(kind, "keeps", ())) <= set(KINDS)
    assert isinstance(getattr(kind, "states_confidence", False), bool)
    assert isinstance(getattr(kind, "keeps_replies", False), bool)
    assert getattr(kind, "states_confidence", False) == (name in TALKING)


@pytest.mark.parametrize("name", ["calibrated", *(n for n in TALKING if n not in ASKED)])
def test_an_answer_that_is_none_names_its_document(
    name: str, make: Make, tasks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = make(name)
    bad = 3

    def spoilt(given: list[Any], **_: Any) -> list[Any]:
        answers: list[Any] = [(-1.0, False)] * len(given)
        return [(math.nan, False) if r.doc_id == bad else a for r, a in zip(given, answers)]  # noqa: B905

    monkeypatch.setattr(lm.base, "loglikelihood", spoilt)
    with pytest.raises(InvalidInputError, match=rf"calib_toy_norm.*document {bad}"):
        lm.loglikelihood(requests(tasks, "calib_toy_norm"))


@pytest.mark.parametrize("name", MODELS)
def test_an_argument_that_nobody_takes_is_named(name: str, make: Make, tiny_model: Path) -> None:
    over_hf = {} if name == "fractal-scorer" else {"pretrained": str(tiny_model), "device": "cpu"}
    if name in TALKING:
        over_hf["base"] = "hf"
    with pytest.raises((InvalidInputError, TypeError), match="temprature"):
        make(name, **over_hf, temprature=1)


def test_plain_texts_stay_plain(make: Make, tasks: Any) -> None:
    for name in TALKING:
        plain = requests(tasks, "toy_generate")
        assert not any(map(is_envelope, make(name).generate_until(plain)))


@pytest.mark.parametrize("name", ASKED)
def test_beliefs_about_options(name: str, make: Make, tasks: Any) -> None:
    """A distribution over each document's options, with one statement behind it, whatever the order of requests."""
    if name == "systemone":
        pytest.importorskip("jevcompat", reason="jevcompat is not installed")
    instances = requests(tasks, "calib_toy_norm")
    answers = make(name).loglikelihood(instances)
    order = random.Random(1).sample(range(len(instances)), len(instances))
    shuffled = make(name).loglikelihood([instances[i] for i in order])
    same("loglikelihood", [answers[i] for i in order], shuffled)
    by_document: dict[int, list[Any]] = {}
    for request, answer in zip(instances, answers, strict=True):
        by_document.setdefault(request.doc_id, []).append(answer)
    for mine in by_document.values():
        assert sum(math.exp(a[0]) for a in mine) == pytest.approx(1, abs=0.01)  # (floored)
        (said,) = {id(a.statement): a.statement for a in mine}.values()
        assert [a[1] for a in mine].count(True) == 1
        np.testing.assert_allclose(said.probabilities, [math.exp(a[0]) for a in mine], atol=0.01)
        assert said.status in ("valid", "repaired", "invalid", "cut")
        assert json.loads(json.dumps(said.as_logged(), allow_nan=False))
