"""An OpenAI-compatible chat server that answers as the scripted base does, and fails on demand."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scripted_base import Scripted, dice, item, right


class FakeApi:
    """A server on a free port, as a context manager.

    Args:
        picker: as for `Scripted`.
        failures: how many requests are answered by 429 first.

    Attributes:
        payloads: what was asked, in order, failed requests aside.
    """

    def __init__(self, picker: str = "oracle", failures: int = 0) -> None:
        self.script, self.failures = Scripted(picker=picker), failures
        self.payloads: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    failed = outer.failures > 0
                    outer.failures -= failed
                    if not failed:
                        outer.payloads.append(payload)
                body = {"error": "slow down"} if failed else outer.answer(payload)
                data = json.dumps(body).encode()
                self.send_response(429 if failed else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

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
