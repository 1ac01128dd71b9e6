"""The managers' two large steps with gradients by hand: with noise, each works on (B, N, T, D).

Autograd's own forms give the same results. They keep several tensors of that size, and the
gradient of a slice ``weights[:, i]`` is one more for each expert, zero nearly everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class NoisySoftmax(torch.autograd.Function):
    """softmax((scores + noise) / temperature) over axis 1; keeps its result alone."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, noise: Tensor, temperature: Tensor) -> Tensor:
        """Scores that broadcast to the noise (B, N, T, D), temperature (1,) -> (B, N, T, D)."""
        logits = (scores + noise).div_(temperature)
        weights = torch.softmax(logits, dim=1)
        ctx.save_for_backward(weights, temperature)
        ctx.scores_shape = scores.shape
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, Tensor]:
        weights, temperature = ctx.saved_tensors
        inner = grad * weights
        inner.addcmul_(weights, inner.sum(dim=1, keepdim=True), value=-1)
        grad_scores = inner.sum_to_size(ctx.scores_shape) / temperature
        # The logits are log(weights) plus a constant of each softmax, over which inner sums to 0.
        grad_temperature = torch.xlogy(inner, weights).sum().neg() / temperature
        return grad_scores, None, grad_temperature


class WeightedSum(torch.autograd.Function):
    """Sum over i of weights[:, i] * (scale[i] * expert i + shift[i]); keeps its inputs alone."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, scale: Tensor, shift: Tensor, *experts: Tensor
    ) -> Tensor:
        """(B, N, T, D), twice (N, D), N experts (B or 1, T, D) -> (B, T, D)."""
        total = torch.addcmul(shift[0], experts[0], scale[0]) * weights[:, 0]
        for i in range(1, len(experts)):
            total.addcmul_(torch.addcmul(shift[i], experts[i], scale[i]), weights[:, i])
        ctx.save_for_backward(weights, scale, shift, *experts)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        weights, scale, shift, *experts = ctx.saved_tensors
        grad_weights = torch.empty_like(weights)
        grad_scale, grad_shift = torch.empty_like(scale), torch.empty_like(shift)
        grad_experts = []
        for i, expert in enumerate(experts):
            normed = torch.addcmul(shift[i], expert, scale[i])
            torch.mul(grad, normed, out=grad_weights[:, i])
            share = grad * weights[:, i]
            grad_shift[i] = share.sum(dim=(0, 1))
            grad_experts.append((share * scale[i]).sum_to_size(expert.shape))
            grad_scale[i] = share.mul_(expert).sum(dim=(0, 1))
        return grad_weights, grad_scale, grad_shift, *grad_experts
