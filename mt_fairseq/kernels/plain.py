"""The operations in plain torch: what they mean, and what every other form must equal.

Compiled passes take these, and so do layers that are more than their weight and bias (hooks,
adapters, quantised weights).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUICK_GELU_SLOPE = 1.702


def quick_gelu(x: Tensor) -> Tensor:
    """CLIP's x sigmoid(1.702 x)."""
    return x * torch.sigmoid(QUICK_GELU_SLOPE * x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "quick_gelu": quick_gelu}
"""By the names of transformers' configurations; gelu is the exact one."""


def activated_linear(x: Tensor, layer: nn.Module, activation: str) -> Tensor:
    """x (..., in) -> layer(act(x)) (..., out)."""
    result: Tensor = layer(ACTIVATIONS[activation](x))
    return result


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    """(B, H, T, E), twice (B, H, S, E), mask (B or 1, 1, T or 1, S) -> (B, H, T, E)."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def dropout(x: Tensor, probability: float) -> Tensor:
    """Any shape -> the same; zeros at random, the rest scaled up."""
    return F.dropout(x, probability)


def normal_noise(shape: tuple[int, ...], like: Tensor, std: float) -> Tensor:
    """Normal values of a standard deviation, on the device and in the type of ``like``."""
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_(std=std)


def noisy_weighted_sum(
    scores: Tensor,
    noise: Tensor,
    temperature: Tensor,
    scale: Tensor,
    shift: Tensor,
    rows: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Normed rows weighted by softmax((scores + noise) / temperature) over the rows.

    Args:
        scores: broadcast to the noise (B, N, T, D).
        temperature: (1,).
        scale, shift: (N, D), of the rows' layer norms.
        rows: N of (B or 1, T, D), already of mean 0 and variance 1.

    Returns:
        (B, T, D) and the weights (B, N, T, D); the noise may be overwritten.
    """
    weights = torch.softmax((scores + noise) / temperature, dim=1)
    total = torch.zeros_like(weights[:, 0])
    for row, own, offset, weight in zip(rows, scale, shift, weights.unbind(1), strict=True):
        total = total + torch.addcmul(offset, row, own) * weight
    return total, weights
