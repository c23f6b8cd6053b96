"""Trees of inputs in one pass, each token that requests share computed once: for models of attention."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.contract import Answers, Executor, cheap
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.network import KeyValues, Network
from lm_eval_calibration.scoring.plan import PlannedRow, batches, plan_rows, split_row, targets_of
from lm_eval_calibration.scoring.sequences import Request, inputs_of

SHORT = 6
SMALL_ROWS = 8
"""Rows of so few tokens have every context cached as a prefix."""


class Packed(Executor[PlannedRow]):
    """Rows that are trees, each token of which sees its own ancestors alone.

    Each row has a copy of its prefix's keys and values.
    """

    shared: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.head = Head(self.model, self.precision)
        self.network = Network(self.model, self.shared)

    def plan(self, requests: Sequence[Request], **options: int) -> list[PlannedRow]:
        """Rows and prefixes; options are those of `plan_rows`."""
        return plan_rows(inputs_of(requests, self.max_length), **options)

    def trials(self, requests: Sequence[Request]) -> Iterator[tuple[list[int], list[PlannedRow]]]:
        """As they will be; then with every context as a prefix; then short ones after two prefixes."""
        yield list(range(len(requests))), self.plan(requests)
        rest = cheap(requests)
        yield rest, self.plan([requests[n] for n in rest], row_tokens=SMALL_ROWS)
        short = rest[-SHORT:]
        inputs = inputs_of([requests[n] for n in short], self.max_length)
        yield short, [split_row(tokens, tokens.first // 2, tokens.first) for tokens in inputs]

    def batches(self, plan: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
        """Rows of one prefix and of nearly one length."""
        return batches(plan, lambda: self.batch_tokens)

    def computing(self, requests: Sequence[Request]) -> Callable[[list[PlannedRow]], Answers]:
        """With the keys and values of the prefix at hand and of its parents."""
        cached: Chain[KeyValues] = Chain({}, self.network.key_values)

        def compute(batch: list[PlannedRow]) -> Answers:
            hidden = self.network.hidden(batch, cached.of(batch[0].prefix)).flatten(0, 1)
            return self.head.answers(hidden, *targets_of(batch, requests, max(map(len, batch))))

        return compute


class SharedPacked(Packed):
    """The same, but that all rows read one prefix together: for models that let attention be replaced."""

    shared = True
