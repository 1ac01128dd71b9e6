"""Heads of ALBEF; those not listed here are shared with the other models."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ReluHead(nn.Module):
    """Entailment and visual reasoning: linear, ReLU, linear on position 0."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, D) -> (B, classes)."""
        return self.out(F.relu(self.dense(pooled)))


class TiedMaskedLMHead(nn.Module):
    """BERT's head, its matrix tied to the word embeddings, which every call brings along."""

    def __init__(self, width: int, vocabulary: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.bias = nn.Parameter(self.dense.weight.new_zeros(vocabulary))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """States (..., D) and word embeddings (V, D) -> (..., V)."""
        return F.linear(self.norm(F.gelu(self.dense(states))), words, self.bias)
