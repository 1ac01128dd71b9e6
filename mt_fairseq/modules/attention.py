"""Multi-head attention."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.kernels import attention


def key_mask(mask: Tensor | None) -> Tensor | None:
    """(B, S) boolean, True on real positions -> (B, 1, 1, S) for scaled_dot_product_attention."""
    return None if mask is None else mask[:, None, None, :]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with its four projections, all with bias (Vaswani et al. 2017).

    Args:
        width: channels D of queries and output.
        heads: number of heads; divides ``width``.
        dropout: probability with which attention weights are dropped in training.
        memory_width: channels of what keys and values are made of (0: ``width``).
        own_keys: False leaves key and value projections out; calls then name a ``leader``.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float = 0.0,
        memory_width: int = 0,
        own_keys: bool = True,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of the number of heads {heads}")
        self.heads = heads
        self.dropout = dropout
        self.recorded: list[Tensor] | None = None
        self.query = nn.Linear(width, width)
        if own_keys:
            self.key = nn.Linear(memory_width or width, width)
            self.value = nn.Linear(memory_width or width, width)
        self.out = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        mask: Tensor | None = None,
        leader: MultiHeadAttention | None = None,
    ) -> Tensor:
        """Queries from ``x`` (B, T, D), keys and values from ``memory`` (B, S, .) -> (B, T, D).

        ``mask``, boolean and broadcast to (B, heads, T, S), is False where a key must not be
        attended. With a ``leader``, its projections make keys and values. A batch of one, of ``x``
        or of ``memory``, goes with all of the other.
        """
        source = leader or self
        dropout = self.dropout if self.training else 0.0
        batch = max(len(x), len(memory))
        projected = self.query(x), source.key(memory), source.value(memory)
        q, k, v = (self._split(states).expand(batch, -1, -1, -1) for states in projected)
        if self.recorded is not None:
            attended = self._attend_recorded(q, k, v, mask)
        else:
            attended = attention(q, k, v, mask, dropout)
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, heads, T, D / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _attend_recorded(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
    ) -> Tensor:
        """The same step by step, the probabilities (B, heads, T, S) kept before dropout."""
        assert self.recorded is not None
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        probabilities = scores.softmax(dim=-1)
        self.recorded.append(probabilities)
        return F.dropout(probabilities, self.dropout, self.training) @ value


@contextmanager
def record_attention(module: MultiHeadAttention) -> Iterator[list[Tensor]]:
    """Inside, every pass adds its probabilities (B, heads, T, S), with gradient, to the list."""
    module.recorded = []
    try:
        yield module.recorded
    finally:
        module.recorded = None
