"""Weighted sums of normed layers; with noise, by a function with gradients of its own.

Shapes: N rows (experts, or outputs of layers below) of (B or 1, T, D); their scale and shift are
(N, D) each: weight i acts on scale i * row i + shift i.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def weighted_sum(rows: Sequence[Tensor], weights: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Weights (N, D or 1), (B, N, T) or (B, N, T, D) -> (B, T, D), one running sum, no stack."""
    if weights.dim() == 2:  # static: scale and shift fold into the weights
        total = (weights * shift).sum(0).expand_as(rows[0])
        for row, own in zip(rows, weights * scale, strict=True):
            total = torch.addcmul(total, row, own)
        return total
    if weights.dim() == 3:  # one for all channels of a token: nothing is expanded over D
        total = weights.transpose(1, 2) @ shift
        for row, own, weight in zip(rows, scale, weights.unbind(1), strict=True):
            total = torch.addcmul(total, row * own, weight[..., None])
        return total
    total = weights.new_zeros(())
    for row, own, offset, weight in zip(rows, scale, shift, weights.unbind(1), strict=True):
        total = torch.addcmul(total, torch.addcmul(offset, row, own), weight)
    return total


class NoisySum(torch.autograd.Function):
    """The weighted sum for weights softmax((scores + noise) / temperature) over the rows.

    Autograd's own form gives the same. It keeps several tensors as large as the noise, and makes
    one more of them, zero nearly everywhere, as the gradient of every slice ``weights[:, i]``.
    This one keeps the weights and nothing else of that size.
    """

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        noise: Tensor,
        temperature: Tensor,
        scale: Tensor,
        shift: Tensor,
        *rows: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Scores that broadcast to the noise (B, N, T, D) -> (B, T, D), weights (B, N, T, D).

        The weights are for looking at; no gradient goes through them.
        """
        logits = (noise + scores).div_(temperature)
        weights = torch.softmax(logits, dim=1)
        # With respect to the temperature t, the total has the derivative
        # (total * sum_i w_i logit_i - sum_i w_i logit_i normed_i) / t.
        along = logits.mul_(weights)
        total, slope = torch.zeros_like(weights[:, 0]), torch.zeros_like(weights[:, 0])
        for i, row in enumerate(rows):
            normed = torch.addcmul(shift[i], row, scale[i])
            total.addcmul_(normed, weights[:, i])
            slope.addcmul_(normed, along[:, i], value=-1)
        slope.addcmul_(total, along.sum(dim=1))
        ctx.save_for_backward(weights, total, slope, temperature, scale, shift, *rows)
        ctx.scores_shape = scores.shape
        ctx.mark_non_differentiable(weights)
        return total, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Row by row, so that what a row needs stays in the processor's caches."""
        weights, total, slope, temperature, scale, shift, *rows = ctx.saved_tensors
        batch, _, *rest = ctx.scores_shape
        of_scale, of_shift = torch.empty_like(scale), torch.empty_like(shift)
        of_scores, of_rows = [], []
        for i, (row, weight) in enumerate(zip(rows, weights.unbind(1), strict=True)):
            share = grad * weight
            by_row = share * row
            of_shift[i], of_scale[i] = share.sum(dim=(0, 1)), by_row.sum(dim=(0, 1))
            of_rows.append((share * scale[i]).sum_to_size(row.shape))
            # share * (scale * row + shift - total)
            of_logits = by_row.mul_(scale[i]).addcmul_(share, shift[i] - total)
            of_scores.append(of_logits.sum_to_size((batch, *rest)))
        of_temperature = (grad * slope).sum() / temperature
        scores = torch.stack(of_scores, dim=1) / temperature
        return scores, None, of_temperature, of_scale, of_shift, *of_rows
