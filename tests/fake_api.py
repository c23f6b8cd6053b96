"""An OpenAI-compatible chat server that answers as the scripted base does, and fails on demand."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripted_base import Scripted, dice, item, right

Faults = Callable[[str, int], str]
"""What goes wrong with a prompt at its n-th try (from 0): `429`, `500`, `drop`, `truncate`, `slow`,
one of `ODD`, or "" for nothing."""


def _with_content(content: Any) -> Callable[[Any], Any]:
    return lambda body: {"choices": [{"index": 0, "message": {"content": content}}]}


def _in_parts(body: Any) -> Any:
    text = body["choices"][0]["message"]["content"]
    parts = [{"type": "text", "text": part} for part in (text[:3], text[3:])]
    return {"choices": [{"index": 0, "message": {"content": parts}}]}


def _with_first(value: Any) -> Callable[[Any], Any]:
    """Of the last token of the prompt, another log-probability."""

    def change(body: Any) -> Any:
        body["choices"][0]["logprobs"]["token_logprobs"][-2] = value
        return body

    return change


def _each(change: Callable[[list[Any]], list[Any]], *names: str) -> Callable[[Any], Any]:
    def changed(body: Any) -> Any:
        given = body["choices"][0]["logprobs"]
        given |= {name: change(given[name]) for name in names}
        return body

    return changed


_NUMBERS = ("token_logprobs", "top_logprobs")
HARMLESS: dict[str, Callable[[Any], Any]] = {
    "parts": _in_parts,
    "three choices": lambda body: {
        "choices": [
            *({**each, "index": 0} for each in body["choices"]),
            *({"index": i, "message": {"content": "another"}} for i in (1, 2)),
        ]
    },
    "no index": lambda body: {"choices": [{"message": body["choices"][0]["message"]}]},
}
"""Replies of chat completions that say the same in another way."""
SILENT: dict[str, Callable[[Any], Any]] = {
    "null": _with_content(None),
    "a number": _with_content(5),
    "an image": _with_content([{"type": "image_url", "image_url": {}}]),
    "no parts": _with_content([]),
    "an object": _with_content({"text": "yes"}),
    "no choices": lambda body: {"choices": []},
    "choices of another kind": lambda body: {"choices": {"0": "yes"}},
    "an error": lambda body: {"error": {"message": "overloaded"}},
    "a list": lambda body: [1, 2],
    "no message": lambda body: {"choices": [{"index": 0}]},
    "a message of another kind": lambda body: {"choices": [{"index": 0, "message": "yes"}]},
}
"""Replies that hold no text."""
MISFIT: dict[str, Callable[[Any], Any]] = {
    "nan": _with_first(float("nan")),
    "infinite": _with_first(float("inf")),
    "true": _with_first(True),
    "words": _with_first("-1.5"),
    "null number": _with_first(None),
    "positive": _with_first(3.5),
    "a token too few": _each(lambda values: values[:-1], *_NUMBERS),
    "doubled": _each(lambda values: [v for v in values for _ in (0, 1)], *_NUMBERS),
    "a number too few": _each(lambda values: values[1:], "token_logprobs"),
    "no likeliest": _each(lambda values: [None] * len(values), "top_logprobs"),
    "no log-probabilities": lambda body: {"choices": [{"index": 0, "text": "", "logprobs": None}]},
    "none of its choices": lambda body: {"choices": []},
}
"""Replies of completions whose log-probabilities do not fit the prompt."""
ODD = {**HARMLESS, **SILENT, **MISFIT}


def first_ones(count: int) -> Faults:
    """The first requests of all are answered by 429."""
    left = [count]

    def fault(prompt: str, attempt: int) -> str:
        left[0] -= 1
        return "429" if left[0] >= 0 else ""

    return fault


class FakeApi:
    """A server on a free port, as a context manager.

    Attributes:
        several: samples that it gives for one request at most; 0: it refuses `n`; `None`: it ignores it.
        payloads: what was answered, in order.
        tries: how often each prompt came.
    """

    def __init__(
        self, picker: str = "oracle", faults: Faults = lambda *_: "", several: int | None = None
    ) -> None:
        self.script, self.faults, self.several = Scripted(picker=picker), faults, several
        self.payloads: list[dict[str, Any]] = []
        self.tries: Counter[str] = Counter()
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fault, body = outer.serve(payload)
                if fault == "drop":
                    self.connection.close()
                    return
                data = json.dumps(body).encode()
                self.send_response(int(fault) if fault.isdecimal() else 200)
                self.send_header("Content-Type", "application/json")
                sent = data[: len(data) // 2] if fault == "truncate" else data
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                """Say nothing of connections that were dropped."""

        self.server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Of chat completions."""
        return f"http://127.0.0.1:{self.server.server_port}/v1/chat/completions"

    @property
    def completions(self) -> str:
        """Of completions of a text."""
        return self.url.replace("/chat", "")

    @property
    def documents(self) -> set[int]:
        """The numbers of the toy documents that were asked about."""
        return {item(json.dumps(p.get("messages") or p["prompt"])) for p in self.payloads}

    def __enter__(self) -> FakeApi:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The fault of a request, and the body of its answer."""
        prompt = json.dumps(payload["messages"] if "messages" in payload else payload["prompt"])
        with self.lock:
            fault = self.faults(prompt, self.tries[prompt])
            self.tries[prompt] += 1
            if fault in ("", "slow") or fault in ODD:
                self.payloads.append(payload)
        if fault == "slow":
            time.sleep(0.2)
        if fault.isdecimal():
            return fault, {"error": "out of order"}
        if self.several == 0 and "n" in payload:
            return "400", {"error": "n is not known"}
        body = self.answer(payload) if "messages" in payload else self.complete(payload)
        for number in range(1, min(payload.get("n", 1), self.several or 1)):
            again = {**payload, "seed": payload["seed"] + number}
            other = self.answer(again) if "messages" in payload else self.complete(again)
            body["choices"].append({**other["choices"][0], "index": number})
        # (what does not concern this kind of request is as it was)
        fits = ("logprobs" in body["choices"][0]) == (fault in MISFIT)
        return fault, ODD[fault](body) if fault in ODD and fits else body

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        """One completion; a sample is decided by its seed alone, whatever else is under way."""
        prompt = payload["messages"][-1]["content"]
        if "JSON object" in prompt:
            asked = "\n".join(turn["content"] for turn in payload["messages"])
            text = self.script.state(asked)
        elif "Answer 1:" in prompt:
            text = self.script._choose(prompt)
        elif "How probable" in prompt:
            text = "85%" if right(item(prompt)) in prompt else "I cannot say."
        else:
            number = item(prompt)
            text = right(number) if dice(number, payload.get("seed")) < 0.5 else "a guess"
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}

    def complete(self, payload: dict[str, Any]) -> dict[str, Any]:
        """One completion of a text, or the log-probabilities of its bytes, each of which is a token."""
        prompt = payload["prompt"]
        if not payload.get("echo"):
            turn = {"messages": [{"role": "user", "content": prompt}], "seed": payload.get("seed")}
            return {
                "choices": [
                    {"index": 0, "text": self.answer(turn)["choices"][0]["message"]["content"]}
                ]
            }
        likely = (right(item(prompt)) in prompt) == prompt.endswith("A")
        values = [-1.0] * (len(prompt.encode()) - 1) + [-0.1 if likely else -2.0, -0.5]
        found = {"token_logprobs": [None, *values[1:]], "top_logprobs": [{"x": -0.1}] * len(values)}
        return {"choices": [{"index": 0, "text": prompt, "logprobs": found}]}
