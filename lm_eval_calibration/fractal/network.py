"""The network that scores a sentence: two hidden layers on frozen embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_SPREAD = 1e-6
"""By less than this no input is divided."""


class SentenceNetwork(nn.Module):
    """Log-odds of sentences being right.

    Embeddings are standardised; with `interaction` the product of sentence and question and their
    distance, dimension by dimension, stand beside them.

    Args:
        inputs: width of the embeddings together.
        embedding: D, of one.
        hidden: width of the first layer; the second has half of it.
        interaction: see above.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, inputs: int, embedding: int, hidden: int, interaction: bool) -> None:
        super().__init__()
        self.inputs, self.embedding, self._interaction = inputs, embedding, interaction
        width = inputs + 2 * embedding * interaction
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.layers = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Linear(hidden // 2, 1),
        )

    def standardise(self, inputs: Tensor) -> None:
        """Take centre and spread from the inputs (m, inputs) that will be trained on."""
        shown = self._shown(inputs)
        self.centre.copy_(shown.mean(dim=0))
        self.spread.copy_(shown.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD))

    def forward(self, inputs: Tensor) -> Tensor:
        """(m,) log-odds of m sentences (m, inputs)."""
        return self.layers((self._shown(inputs) - self.centre) / self.spread).squeeze(1)

    def _shown(self, inputs: Tensor) -> Tensor:
        if not self._interaction:
            return inputs
        query, sentence = inputs[:, : self.embedding], inputs[:, -self.embedding :]
        return torch.cat([inputs, query * sentence, (query - sentence).abs()], dim=1)
