"""The end of a causal model: from the state that its vocabulary matrix reads to log-probabilities."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import pad

from lm_eval_calibration.scoring.contract import Answers, device_of

LOGIT_ELEMENTS = 1 << 24
"""Elements of the logits that are made at a time: 64 MB in float32."""
HEAD_ROWS = 64
"""States of which logits are made at a time where it is always to be as many."""
SHORT_PASS = 8
SCALES = ("lm_head_multiplier", "logit_scale", "logits_scaling")
"""What configurations call the number that logits are multiplied with, or divided by."""


class Head:
    """The vocabulary matrix, and what the model's code does to its output.

    Args:
        model: a causal language model.
        precision: of the log-softmax.
        rows: states of which logits are made at a time, always so many; else as many as there is room for.

    Raises:
        TypeError: it has no such matrix, or something is done to the logits that is neither a scale
            nor a soft cap.
    """

    def __init__(
        self, model: Any, precision: torch.dtype = torch.float32, rows: int | None = None
    ) -> None:
        self.matrix = model.get_output_embeddings()
        if self.matrix is None:
            raise TypeError("the model names no output embeddings")
        self.precision, self.rows = precision, rows
        self._model = model
        self._after: tuple[float, float | None] | None = None

    def read(self, *, keep: int | None = 1, **inputs: Any) -> tuple[torch.Tensor, Any]:
        """What the matrix reads (B, L, H) in a pass of the whole model, and the pass's output.

        Args:
            keep: of how many last positions the model makes logits; `None` for all.
            inputs: of the model.
        """
        seen: list[torch.Tensor] = []

        def cut(_: Any, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
            seen.append(given[0])
            return None if keep is None else (given[0][:, -keep:], *given[1:])

        handle = self.matrix.register_forward_pre_hook(cut)
        try:
            output = self._model(**inputs)
        finally:
            handle.remove()
        if len(seen) != 1:
            raise TypeError(f"the model used its output embeddings {len(seen)} times")
        return seen[0], output

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, V) logits in the log-softmax's precision of hidden states (N, H)."""
        if self._after is None:
            self._after = self._learned()
        scale, cap = self._after
        logits = self.matrix(hidden)
        if scale != 1:
            logits = logits * scale
        logits = logits.to(self.precision)
        return logits if cap is None else torch.tanh(logits / cap) * cap

    def fixed_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """(N, V) logits of hidden states (N, H), made of `rows` states at a time."""
        size = self.rows or len(hidden)
        parts = hidden.split(size)
        return torch.cat([self.logits(self._filled(part))[: len(part)] for part in parts])

    def answers(
        self,
        hidden: torch.Tensor,
        numbers: list[int],
        places: NDArray[np.int64],
        targets: NDArray[np.int64],
        counts: Sequence[int],
    ) -> Answers:
        """The answers to R requests.

        Args:
            hidden: (N, H) states of a batch's positions.
            numbers: (R,) the requests'.
            places: (T,) whose next tokens are scored, request after request.
            targets: (T,) these tokens.
            counts: (R,) how many of the T each request has.
        """
        device = hidden.device
        at = torch.as_tensor(places, device=device)
        logp, greedy = self._token_scores(hidden, at, torch.as_tensor(targets, device=device))
        count = torch.as_tensor(counts, device=device)
        if self.rows:  # (sums by index add in an order of their own on some devices)
            total = torch.stack([part.sum() for part in logp.split(list(counts))])
        else:
            owner = torch.repeat_interleave(torch.arange(len(counts), device=device), count)
            total = torch.zeros(len(counts), dtype=self.precision, device=device).index_add(
                0, owner, logp
            )
        right = torch.stack([part.all() for part in greedy.split(list(counts))])
        first = at[count.cumsum(0) - count]
        return Answers(numbers, total, right, hidden[first])

    def _token_scores(
        self, hidden: torch.Tensor, places: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(T,) log-probability of each target after the token at its place, and whether it is best.

        Several targets after one token share its row of logits.
        """
        distinct, which = torch.unique(places, return_inverse=True)
        logp = torch.zeros(len(targets), dtype=self.precision, device=hidden.device)
        greedy = torch.zeros(len(targets), dtype=torch.bool, device=hidden.device)
        size = self.rows or max(1, LOGIT_ELEMENTS // self._vocabulary)
        for start in range(0, len(distinct), size):
            logits = self.logits(self._filled(hidden[distinct[start : start + size]]))
            here = ((which >= start) & (which < start + size)).nonzero()[:, 0]
            rows, columns = which[here] - start, targets[here]
            # `hf` calls log_softmax, whose rounding (1e-5 a token on a CPU) is thus the same here.
            logp = logp.index_put((here,), logits.log_softmax(dim=1)[rows, columns])
            greedy[here] = logits.argmax(dim=1)[rows] == columns
        return logp, greedy

    def _filled(self, states: torch.Tensor) -> torch.Tensor:
        """With lines of zeros, if there are always to be as many."""
        return states if not self.rows else pad(states, (0, 0, 0, self.rows - len(states)))

    @property
    def _vocabulary(self) -> int:
        return int(getattr(self.matrix, "out_features", 0) or self.matrix.weight.shape[0])

    @torch.no_grad()
    def _learned(self) -> tuple[float, float | None]:
        """What the logits are multiplied with, and their soft cap, as one short pass shows."""
        raw: list[torch.Tensor] = []
        handle = self.matrix.register_forward_hook(lambda *given: raw.append(given[2]))
        device = device_of(self._model)
        tokens = (
            torch.arange(1, 1 + SHORT_PASS, device=device) % self._vocabulary
        )  # 0: may be padding
        try:
            with torch.random.fork_rng([device] if device.type == "cuda" else []):  # of dropout
                final = self._model(input_ids=tokens[None]).logits[0].double()
        finally:
            handle.remove()
        before = raw[-1].reshape(final.shape).double().to(final.device)
        config = text_config(self._model.config)
        cap = getattr(config, "final_logit_softcapping", None)
        linear = final if cap is None else (final / cap).clamp(-1 + 1e-9, 1 - 1e-9).atanh() * cap
        scale = _exactly(float((linear * before).sum() / (before * before).sum()), config)
        after = before * scale if cap is None else torch.tanh(before * scale / cap) * cap
        gap = float((after - final).abs().max())
        if not gap <= 0.02 * max(float(final.abs().max()), 1e-6):
            raise TypeError("the model does something unknown to its logits")
        return scale, cap


def text_config(config: Any) -> Any:
    """The part of a configuration that describes the language model."""
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def arguments_of(model: Any) -> set[str]:
    """What the forward pass of a model takes by name, within adapters of PEFT."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return set(inspect.signature(inner.forward).parameters)


def _exactly(scale: float, config: Any) -> float:
    """A measured scale as the configuration has it, else 1 or itself."""
    named = [getattr(config, name, None) for name in SCALES]
    exact = [1.0, *(x for value in named if value for x in (float(value), 1 / float(value)))]
    return min(exact, key=lambda value: abs(value - scale)) if _near(scale, exact) else scale


def _near(scale: float, values: Sequence[float]) -> bool:
    return any(abs(value - scale) <= 0.01 * abs(value) for value in values)
