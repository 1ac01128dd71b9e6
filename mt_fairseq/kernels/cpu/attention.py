"""Attention with dropout on its weights for CPUs, where torch has no fused kernel for it.

torch's own form keeps the weights of all heads three times over for the backward pass; this one
keeps queries, keys, values and one byte a weight, and makes the weights again. It goes through few
samples at a time, so that their weights stay in the processor's caches and in memory that is
already there: fresh pages from the system cost more than the arithmetic on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mt_fairseq.kernels.cpu.dropout import draw_kept, drawn_probability

CHUNK = 2**21
"""Weights of the samples that are worked on at once (of one at least)."""


class _DroppedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
    ) -> Tensor:
        kept = draw_kept((*query.shape[:3], key.shape[2]), dropout)
        ctx.save_for_backward(query, key, value, mask, kept)
        ctx.scale = 1 / (1 - drawn_probability(dropout))
        result = torch.empty_like(query)
        for rows in _chunks(kept):
            weights = _weights(query[rows], key[rows], _of(mask, rows)).mul_(kept[rows])
            result[rows] = (weights @ value[rows]).mul_(ctx.scale)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, kept = ctx.saved_tensors
        of_query, of_key, of_value = map(torch.empty_like, (query, key, value))
        factor = query.shape[-1] ** -0.5
        for rows in _chunks(kept):
            own = grad[rows] * ctx.scale
            weights = _weights(query[rows], key[rows], _of(mask, rows))
            left = weights * kept[rows]
            of_value[rows] = left.mT @ own
            of_scores = (own @ value[rows].mT).mul_(left)
            of_scores.addcmul_(weights, of_scores.sum(dim=-1, keepdim=True), value=-1)
            of_query[rows] = (of_scores @ key[rows]).mul_(factor)
            of_key[rows] = (of_scores.mT @ query[rows]).mul_(factor)
        return of_query, of_key, of_value, None, None


def _chunks(weights: Tensor) -> Iterator[slice]:
    """Samples in portions of about ``CHUNK`` of their weights (B, H, T, S)."""
    step = max(1, CHUNK // max(1, weights[0].numel()))
    return (slice(start, start + step) for start in range(0, len(weights), step))


def _of(mask: Tensor | None, rows: slice) -> Tensor | None:
    return mask if mask is None or len(mask) == 1 else mask[rows]


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
