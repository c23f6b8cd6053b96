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
or "" for nothing."""


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
        payloads: what was answered, in order.
        tries: how often each prompt came.
    """

    def __init__(self, picker: str = "oracle", faults: Faults = lambda *_: "") -> None:
        self.script, self.faults = Scripted(picker=picker), faults
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

    def __enter__(self) -> FakeApi:
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The fault of a request, and the body of its answer."""
        prompt = json.dumps(payload["messages"])
        with self.lock:
            fault = self.faults(prompt, self.tries[prompt])
            self.tries[prompt] += 1
            if fault in ("", "slow"):
                self.payloads.append(payload)
        if fault == "slow":
            time.sleep(0.2)
        return fault, {"error": "out of order"} if fault.isdecimal() else self.answer(payload)

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
