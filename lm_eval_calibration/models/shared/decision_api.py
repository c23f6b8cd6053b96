"""`DecisionApi`: servers of typed questions, `/v1/systemone` and OpenAI's `/v1/decisions`, as a model of the harness."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from lm_eval.models.api_models import TemplateAPI

from lm_eval_calibration.errors import RefusedByServerError
from lm_eval_calibration.models.shared.reply import Failed
from lm_eval_calibration.verbal.decisions import Form, failure, form_of

MOST_WAIT = 60.0
"""Seconds of a server's `Retry-After` that are waited at most."""
ONE = (400, 413, 422)
"""Statuses that concern one request."""
ALL = (401, 403, 404, 405, 501)
"""Statuses that concern every request: no key, no such route or model, no decision model."""
KEYS = ("input_tokens", "output_tokens")


class DecisionApi(TemplateAPI):
    """A server that answers questions with probabilities; a prompt is a JSON object, a reply is the server's.

    Args:
        base_url: of the server, with the route or without.
        api: `systemone`, `decisions`, or "" for what the address says, else `systemone`.
        num_concurrent: requests that are under way together.
        max_retries: tries of a request that the server was too busy for, or failed at.
        model, timeout, header, verify_certificate: as the harness's API models have them.
        batch_size, max_batch_size, device: of the command line, and of no use here.

    Raises:
        InvalidInputError: another value of `api`.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api: str = "",
        model: str = "",
        num_concurrent: int = 1,
        max_retries: int = 5,
        timeout: int = 300,
        header: dict[str, str] | None = None,
        verify_certificate: bool = True,
        batch_size: Any = 1,
        max_batch_size: Any = None,
        device: Any = None,
    ) -> None:
        self.form: Form = form_of(api, base_url or "")
        self.spent: Counter[str] = Counter()
        self._refused: RefusedByServerError | None = None
        super().__init__(
            model=model,
            base_url=self.form.address(base_url or self.form.home),
            num_concurrent=num_concurrent,
            max_retries=max_retries,
            timeout=timeout,
            header=header,
            verify_certificate=verify_certificate,
            tokenizer_backend=None,
            tokenized_requests=False,
        )

    @property
    def api_key(self) -> str:
        """Of the environment; servers that take none ignore it."""
        return os.environ.get(self.form.key, "")

    @property
    def header(self) -> dict[str, str]:
        """The user's, else the key, where there is one."""
        given: dict[str, str] | None = self._header
        return given or ({"Authorization": f"Bearer {self.api_key}"} if self.api_key else {})

    def generate_until(self, requests: list[Any], *arguments: Any, **options: Any) -> list[str]:
        """The server's replies, as JSON.

        Raises:
            RefusedByServerError: it refuses every request.
        """
        self._refused = None
        found = list(super().generate_until(requests, *arguments, **options))
        if self._refused is not None:
            raise self._refused
        return found

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """There is none."""
        raise NotImplementedError("A decision model has no log-likelihoods of texts.")

    loglikelihood_rolling = loglikelihood

    def _create_payload(self, messages: Any, **options: Any) -> dict[str, Any]:
        asked = json.loads(messages)
        return self.form.payload(str(self.model), asked["state"], asked["question"])

    def model_call(self, messages: Any, **options: Any) -> Any:
        """One request; what concerns it alone is an answer that says so."""
        import requests

        if self._refused is not None:
            return Failed("the server refuses")
        response = requests.post(
            self.base_url,
            json=self._create_payload(self.create_message(messages)),
            headers=self.header,
            verify=self.verify_certificate,
            timeout=self.timeout,
        )
        wait = self._wait(response.status_code, response.headers)
        if wait is not None:
            time.sleep(wait)
            raise RuntimeError(failure(response.status_code, response.text))
        return self._read(response.status_code, response.text)

    async def amodel_call(
        self, session: Any, sem: Any, messages: Any, *, cache_keys: Any = None, **options: Any
    ) -> list[str]:
        """One of many."""
        async with sem:
            if self._refused is not None:
                return [Failed("the server refuses")]
            payload = self._create_payload(self.create_message(messages))
            async with session.post(self.base_url, json=payload, headers=self.header) as response:
                status, text, headers = response.status, await response.text(), response.headers
            wait = self._wait(status, headers)
            if wait is not None:
                await asyncio.sleep(wait)
                raise RuntimeError(failure(status, text))
            answers = self.parse_generations(self._read(status, text))
        for key, answer in zip(cache_keys or (), answers, strict=False):
            self.cache_hook.add_partial("generate_until", key, answer)
        return answers

    def _wait(self, status: int, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait before another try, where there is to be one."""
        if status < 400 or status in ONE or status in ALL:
            return None
        try:
            return min(max(float(headers.get("Retry-After") or 0), 0.0), MOST_WAIT)
        except ValueError:
            return 0.0

    def _read(self, status: int, text: str) -> Any:
        said = failure(status, text)
        if status in ALL or (status == 400 and "model" in said.lower()):
            self._refused = RefusedByServerError(
                f"{self.base_url} refuses: {said}. Its address is `base_url`, the model's name `model`, and a key is "
                f"read from {self.form.key}."
            )
        return Failed(said) if status >= 400 else json.loads(text)

    def parse_generations(self, outputs: Any, **_: Any) -> list[str]:
        """The server's reply, as JSON."""
        reply = outputs[0] if isinstance(outputs, list) and outputs else outputs
        if isinstance(reply, Failed):
            return [reply]
        usage = reply.get("usage") if isinstance(reply, dict) else None
        told = usage if isinstance(usage, dict) else {}
        self.spent.update({n: int(told[n]) for n in KEYS if type(told.get(n)) in (int, float)})
        self.spent["requests"] += 1
        return [json.dumps(reply, ensure_ascii=False)]

    @staticmethod
    def parse_logprobs(*_: Any, **__: Any) -> list[tuple[float, bool]]:
        """There are none."""
        raise NotImplementedError
