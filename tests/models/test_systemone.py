"""Decision models: an exact mock server with each of its faults, a real small one, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import numpy as np
import pytest
from fake_api import FakeApi
from kinds import kinds
from lm_eval import simple_evaluate
from yes_no import yes_no_tasks

from lm_eval_calibration.calibrators import Training
from lm_eval_calibration.calibrators.calibrator import fit
from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.shared.choosing import Choice
from lm_eval_calibration.models.systemone import SystemOneLM
from lm_eval_calibration.predictions import Predictions

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
jevcompat = pytest.importorskip("jevcompat.mock", reason="jevcompat is not installed")
TASK = "calib_toy_norm"
REPAIRED = {"choice-sum"}
ENDS = {
    "wrong-route": "404",
    "xssi-200": "JSON|Expecting value",
    "reject-jev-latest": "404.*Model not served",
    "no-null-description": "422.*valid string",
}
"""Faults that concern what we ask and end a run, with what is said."""
SOME = [
    "choice-sum",
    "choice-second",
    "nan",
    "plain-content-type",
    "wrong-route",
    "reject-jev-latest",
]


@contextmanager
def mock(*faults: str, **config: Any) -> Iterator[str]:
    """The mock server's address."""
    server = jevcompat.make_server(jevcompat.MockConfig(faults=frozenset(faults), **config))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run(tasks: Any, url: str, task: str = TASK, limit: int = 6, **more: Any) -> Any:
    cache = {"use_cache": more.pop("use_cache")} if "use_cache" in more else {}
    arguments = {"model": "jev-latest", "base_url": url, "max_retries": 1, **more}
    return simple_evaluate(
        model="systemone", model_args=arguments, tasks=[task], task_manager=tasks, limit=limit,
        bootstrap_iters=0, **cache,
    )  # fmt: skip


def said(found: Any, task: str = TASK) -> list[dict[str, Any]]:
    return [sample["stated"] for sample in found["samples"][task]]


@pytest.fixture(scope="module")
def exact(tasks: Any) -> list[list[float]]:
    with mock() as url:
        return [s["probabilities"] for s in said(run(tasks, url))]


def test_the_options_probabilities_are_the_servers(tasks: Any) -> None:
    with mock() as url:
        found = run(tasks, url, num_concurrent=3)
    for sample in found["samples"][TASK]:
        stated, reply = sample["stated"], json.loads(sample["stated"]["replies"][0])
        assert stated["status"] == "valid"
        assert list(reply["answers"]["answer"]["probabilities"].values()) == pytest.approx(
            stated["probabilities"]
        )
    assert (
        found["config"]["usage"]["requests"] == 6 and found["config"]["usage"]["input_tokens"] > 0
    )
    row = found["results"][TASK]
    assert row["invalid_rate,none"] == 0 and "zero_rate,none" not in row


@pytest.mark.parametrize("fault", kinds(sorted(jevcompat.FAULTS), SOME))
def test_faults(fault: str, tasks: Any, exact: list[list[float]]) -> None:
    """Each is harmless, repaired, or ends the run with a reason: no other number comes of it."""
    with mock(fault) as url:
        if fault in ENDS:
            with pytest.raises(Exception, match=ENDS[fault]):
                run(tasks, url)
            return
        found = said(run(tasks, url))
    for stated, p in zip(found, exact, strict=True):
        assert stated["status"] == ("repaired" if fault in REPAIRED else "valid"), stated["notes"]
        if fault not in REPAIRED and not fault.endswith("leaks"):
            np.testing.assert_allclose(stated["probabilities"], p)
        assert np.argmax(stated["probabilities"]) == np.argmax(p) or fault.endswith("leaks")


def test_a_busy_server_is_asked_again(tasks: Any, exact: list[list[float]]) -> None:
    with mock(busy_every=2) as url:
        found = said(run(tasks, url, max_retries=4))
    for stated, p in zip(found, exact, strict=True):
        np.testing.assert_allclose(stated["probabilities"], p)


def test_orders_and_yes_or_no(tasks: Any, tmp_path: Path) -> None:
    with mock() as url:
        one, all_ = (said(run(tasks, url, orders=n)) for n in (1, 9))
    assert [len(s["replies"]) for s in all_] == [len(s["probabilities"]) for s in all_]
    for a, b in zip(one, all_, strict=True):  # (the mock looks at an option alone)
        np.testing.assert_allclose(a["probabilities"], b["probabilities"])
    manager = yes_no_tasks(tmp_path, 1)
    with mock() as url:
        (stated,) = said(run(manager, url, task="calib_many", limit=1), "calib_many")
    noul = json.loads(stated["replies"][0])["answers"]["answer"]["noul"]
    assert stated["probabilities"] == pytest.approx([noul, 1 - noul])


class OpenAI(FakeApi):
    """OpenAI's form; refuses the first document's question."""

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        (asked,) = payload["questions"]
        self.payloads.append(payload)
        if "item 0 " in payload["input"]:
            return "", {"answers": [{"type": "refusal", "name": "answer"}]}
        p = [
            {"value": c["value"], "probability": 1 / len(asked["choices"])}
            for c in asked["choices"]
        ]
        return "", {"answers": [{"type": "choice", "name": "answer", "probabilities": p}]}


def test_openais_form(tasks: Any) -> None:
    with OpenAI() as api:
        found = run(tasks, f"http://127.0.0.1:{api.server.server_port}/v1/decisions")
    refused = [s for s in said(found) if s["status"] == "invalid"]
    assert [s["notes"] for s in refused] == [("it refused to answer",)] * len(refused)
    assert found["config"]["systemone"]["form"] == "/v1/decisions"


def test_a_real_small_decider(tasks: Any) -> None:
    pytest.importorskip("sparrow_decider", reason="sparrow-decider is not installed")
    from sparrow_decider import Decider

    decider = Decider.load()

    class Handler(jevcompat.BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = {"answers": decider.ask(asked["state"], asked["questions"])}
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = said(run(tasks, f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    server.server_close()
    assert all(
        s["status"] == "valid" and sum(s["probabilities"]) == pytest.approx(1) for s in found
    )


@pytest.mark.parametrize(
    ("status", "body", "said_"),
    [
        ("401", {"detail": {"message": "no key"}}, r"401 \(no key\).*TYPESAFE_API_KEY"),
        ("501", {"error": "not a decision model"}, "501"),
        (
            "422",
            {"detail": [{"loc": ["body"], "msg": "bad question"}]},
            r"422 \(body: bad question\)",
        ),
    ],
)
def test_what_a_server_refuses(status: str, body: Any, said_: str, tasks: Any) -> None:
    class Refusing(FakeApi):
        def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
            self.payloads.append(payload)
            return status, body

    with Refusing() as api, pytest.raises(InvalidInputError, match=said_):
        run(tasks, api.url.replace("/v1/chat/completions", ""), max_retries=5)
    assert len(api.payloads) <= (6 if status == "422" else 1)


def test_arguments(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match="`model`"):
        SystemOneLM()
    with pytest.raises(InvalidInputError, match="`api` must be systemone or decisions"):
        SystemOneLM(model="m", api="x")
    with pytest.raises(InvalidInputError, match="`orders`"):
        SystemOneLM(model="m", orders=0)
    with pytest.raises(InvalidInputError, match="ordrs"):
        SystemOneLM(model="m", ordrs=2)
    monkeypatch.delenv("TYPESAFE_API_KEY", raising=False)
    assert SystemOneLM(model="m").base.header == {}
    monkeypatch.setenv("TYPESAFE_API_KEY", "k")
    assert SystemOneLM(model="m").base.header == {"Authorization": "Bearer k"}
    with pytest.raises(InvalidInputError, match="wants generated answers, and `systemone` chooses"):
        run(tasks, "http://127.0.0.1:9", task="calib_toy_generate")
    with pytest.raises(Exception, match=r"127.0.0.1"):
        run(tasks, "http://127.0.0.1:9")


def test_what_was_stated_stays_under_a_calibrator(tasks: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    beliefs = Predictions.from_options(
        list(rng.normal(size=(50, 3))), [[int(i % 3)] for i in range(50)]
    )
    fit("temperature", beliefs, Training()).save_pretrained(tmp_path / "cal")
    with mock() as url:
        found = simple_evaluate(
            model="calibrated",
            model_args={"base": "systemone", "calibrator": str(tmp_path / "cal"), "model": "jev-latest",
                        "base_url": url},
            tasks=[TASK], task_manager=tasks, limit=4, bootstrap_iters=0,
        )  # fmt: skip
        plain = run(tasks, url, limit=4)
    assert found["results"][TASK]["invalid_rate,none"] == 0
    assert [s["probabilities"] for s in said(found)] == [s["probabilities"] for s in said(plain)]
    assert found["results"][TASK]["nll,none"] != plain["results"][TASK]["nll,none"]


def test_choices_are_lettered_as_the_examples_before_them(tasks: Any) -> None:
    question = "Which?\nA. Paris\nB. Rome"
    request = SimpleNamespace(task_name="calib_x", doc={}, doc_id=0)
    lettered = Choice(request, Conversation((question,)), question, ["A", "B"], examples=True)
    shots = (("user", "Who?\nA. He\nB. She"), ("assistant", "B"))
    solved = lettered._replace(conversation=Conversation((question,), shots=shots))
    lm = SystemOneLM(model="m", base_url="http://127.0.0.1:9")
    names = [
        [name for name, _ in lm._questions(choice)[0].asks["options"]]
        for choice in (lettered, solved)
    ]
    assert names == [["Paris", "Rome"], ["A", "B"]]
