"""Weighted sums of normed layers.

Shapes: N rows (experts, or outputs of layers below) of (B or 1, T, D); their scale and shift are
(N, D) each: weight i acts on scale i * row i + shift i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def weighted_sum(rows: Sequence[Tensor], weights: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Weights (N, D or 1), (B, N, T) or (B, N, T, D) -> (B, T, D), one running sum, no stack."""
    if weights.dim() == 2:  # static: scale and shift fold into the weights
        total = (weights * shift).sum(0).expand_as(rows[0])
        for row, own in zip(rows, weights * scale, strict=True):
            total = torch.addcmul(total, row, own)  # (B, T, D) as soon as one of the rows is
        return total
    if weights.dim() == 3:  # one for all channels of a token: every expert's state is read once
        total = weights.transpose(1, 2) @ shift
        for i, (row, own, weight) in enumerate(zip(rows, scale, weights.unbind(1), strict=True)):
            weight = weight[..., None]
            # torch is slow where an operand has one channel for all, but one row may serve many
            factors = (row * own, weight) if len(row) < len(weight) else (row, weight * own)
            # the first in memory of its own: under autocast the product above has too few bits
            total = total.addcmul_(*factors) if i else torch.addcmul(total, *factors)
        return total
    total = torch.zeros_like(weights[:, 0])
    for row, own, offset, weight in zip(rows, scale, shift, weights.unbind(1), strict=True):
        total.addcmul_(torch.addcmul(offset, row, own), weight)
    return total
