"""What every executor promises: requests in, the harness's log-likelihoods out, as they come."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import torch

from lm_eval_calibration.scoring.sequences import Request

BATCH_TOKENS = 2048
LONG = 512
"""Contexts of more tokens are tried once."""

Part = TypeVar("Part")
"""What an executor computes with others in a batch: a row, a context with its options, a request."""


class ScoredRequest(NamedTuple):
    """The harness's answer to a request: log-likelihood in nats, and whether greedy decoding agrees."""

    loglikelihood: float
    is_greedy: bool


Answered = Callable[[Mapping[int, ScoredRequest]], None]
"""What is told answers as they come, by the numbers of their requests."""


class Answers(NamedTuple):
    """What one batch answers, R requests.

    requests: their numbers; loglikelihood (R,) in nats; is_greedy (R,); hidden (R, H) the
    state that the head reads at the last token of each context, where THERMOMETER has its features:
    of an encoder-decoder model at the decoder's first place. H is 0 where there are none.
    """

    requests: list[int]
    loglikelihood: torch.Tensor
    is_greedy: torch.Tensor
    hidden: torch.Tensor


@dataclass
class Executor(ABC, Generic[Part]):
    """Scores requests on a model of transformers; each kind computes what they share in its own way.

    Attributes:
        model: in evaluation mode.
        max_length: most tokens it reads; longer inputs lose their beginning.
        batch_tokens: tokens computed at a time; halved when memory runs out.
        precision: of the log-softmax.

    Raises:
        TypeError, AttributeError: the model is not of the kind that can be computed so.
    """

    model: Any = field(repr=False)
    max_length: int
    batch_tokens: int = BATCH_TOKENS
    precision: torch.dtype = torch.float32

    @abstractmethod
    def __post_init__(self) -> None:
        """Take the model apart."""

    @property
    def device(self) -> torch.device:
        """Where the model reads tokens."""
        return device_of(self.model)

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in, under autocast too."""
        return dtype_of(self.model)

    @abstractmethod
    def plan(self, requests: Sequence[Request]) -> list[Part]:
        """What is computed together; it serves any weights of the model.

        Raises:
            InvalidInputError: an empty context or continuation, or one longer than the model's inputs.
        """

    @abstractmethod
    def batches(self, plan: Sequence[Part]) -> Iterator[list[Part]]:
        """The plan in batches of at most `batch_tokens`, but one part at least."""

    @abstractmethod
    def computing(self, requests: Sequence[Request]) -> Callable[[list[Part]], Answers]:
        """What answers a batch; it may keep what later ones share, under the weights at hand."""

    def trials(self, requests: Sequence[Request]) -> Iterator[tuple[list[int], list[Part]]]:
        """Plans of some requests, by number, on which the executor is compared with the model itself.

        They have it do all that it may do for any requests.
        """
        yield list(range(len(requests))), self.plan(requests)

    def passes(
        self, requests: Sequence[Request], plan: Sequence[Part] | None = None
    ) -> Iterator[Answers]:
        """Answers batch by batch, as tensors: differentiable where gradients are enabled.

        Args:
            requests: neither contexts nor continuations may be empty.
            plan: theirs, where it has been made.
        """
        compute = self.computing(requests)
        for batch in self.batches(self.plan(requests) if plan is None else plan):
            yield from self._halving(batch, compute)

    @torch.inference_mode()
    def score(
        self,
        requests: Sequence[Request],
        *,
        plan: Sequence[Part] | None = None,
        answered: Answered | None = None,
        observe: Callable[[Answers], None] | None = None,
    ) -> list[ScoredRequest]:
        """Log-likelihood of each request's continuation after its context, in order.

        Args:
            requests: neither contexts nor continuations may be empty.
            plan: theirs, where it has been made.
            answered: called after each pass with its answers, by the numbers of their requests.
            observe: called before that with what the pass found, hidden states included.
        """
        answers: dict[int, ScoredRequest] = {}
        for found in self.passes(requests, plan):
            if observe is not None:
                observe(found)
            values = map(ScoredRequest, found.loglikelihood.tolist(), found.is_greedy.tolist())
            new = dict(zip(found.requests, values, strict=True))
            answers |= new
            if answered is not None:
                answered(new)
        return [answers[number] for number in range(len(requests))]

    def _halving(
        self, batch: list[Part], compute: Callable[[list[Part]], Answers]
    ) -> Iterator[Answers]:
        try:
            answers = compute(batch)
        except (torch.OutOfMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            self.batch_tokens = max(1, self.batch_tokens // 2)
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                yield from self._halving(part, compute)
            return
        yield answers


def cheap(requests: Sequence[Request]) -> list[int]:
    """Numbers of requests to try again in other ways: all but those of a long first context, if any."""
    first = requests[0].context if requests else []
    rest = [n for n, request in enumerate(requests) if request.context != first]
    return rest if rest and len(first) > LONG else list(range(len(requests)))


def device_of(model: Any) -> torch.device:
    """Where a model reads tokens: of one that `accelerate` has spread, where its first part runs."""
    embeddings = model.get_input_embeddings()
    device = getattr(getattr(embeddings, "_hf_hook", None), "execution_device", None)
    return torch.device(next(model.parameters()).device if device is None else device)


def dtype_of(model: Any) -> torch.dtype:
    """What a model computes in, under autocast too."""
    device = device_of(model).type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    dtype: torch.dtype = next(model.parameters()).dtype
    return dtype
