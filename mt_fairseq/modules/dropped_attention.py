"""Attention with dropout on its weights for CPUs, where torch has no fused kernel for it.

torch's own form keeps the weights of all heads three times over for the backward pass; this one
keeps queries, keys, values and one byte a weight, and makes the weights again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _DroppedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
    ) -> Tensor:
        weights = _weights(query, key, mask)
        kept = torch.empty_like(weights, dtype=torch.bool).bernoulli_(1 - dropout)
        ctx.save_for_backward(query, key, value, mask, kept)
        ctx.dropout = dropout
        return (weights.mul_(kept) @ value).div_(1 - dropout)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, kept = ctx.saved_tensors
        grad = grad / (1 - ctx.dropout)
        weights = _weights(query, key, mask)
        of_value = (weights * kept).mT @ grad
        of_scores = (grad @ value.mT).mul_(kept).mul_(weights)
        of_scores.addcmul_(weights, of_scores.sum(dim=-1, keepdim=True), value=-1)
        of_scores.mul_(query.shape[-1] ** -0.5)
        return of_scores @ key, of_scores.mT @ query, of_value, None, None


def _weights(query: Tensor, key: Tensor, mask: Tensor | None) -> Tensor:
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    if mask is not None:
        scores.masked_fill_(~mask, -torch.inf)
    return scores.softmax(dim=-1)


def dropped_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """(B, H, T, E), twice (B, H, S, E), mask (B or 1, 1, T or 1, S) -> (B, H, T, E)."""
    return _DroppedAttention.apply(query, key, value, mask, dropout)
