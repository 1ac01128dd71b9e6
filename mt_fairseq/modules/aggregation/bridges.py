"""Bridges: one uni-modal layer for each cross-modal layer (BridgeTower, AAAI 2023, Table 1).

A new definition is one class with ``@register_bridge``, here or in a ``--user-dir``. In all of them
x is the previous cross-modal output and y the uni-modal expert, both (B, T, D).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.aggregation.base import Aggregation, AggregationInput
from mt_fairseq.modules.attention import MultiHeadAttention, key_mask
from mt_fairseq.registry import Registry


class Join(nn.Module):
    """One way to join x and y; ``mask`` (B, T) is True on real positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D), (B, T, D) -> (B, T, D)."""
        raise NotImplementedError


BRIDGES: Registry[Callable[[int, int], Join]] = Registry("bridge")
register_bridge = BRIDGES.register


@register_bridge("a")
class Sum(Join):
    """(a) x + y, the default."""

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return x + y


@register_bridge("b")
class Product(Join):
    """(b) x * y, channel by channel."""

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return x * y


@register_bridge("c")
class Interpolation(Join):
    """(c) a x + (1 - a) y with a learnt a (D,), which starts at one half."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.alpha = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return torch.lerp(y, x, self.alpha)


@register_bridge("d")
class GatedInterpolation(Join):
    """(d) a x + (1 - a) y, a = sigmoid(W [x; y])."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.gate = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return torch.lerp(y, x, torch.sigmoid(self.gate(torch.cat([x, y], dim=-1))))


@register_bridge("e")
class Projection(Join):
    """(e) W [x; y]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return self.linear(torch.cat([x, y], dim=-1))


@register_bridge("f")
class TwoLayerProjection(Join):
    """(f) W2 GELU(W1 [x; y]), 2D -> 2D -> D."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.up = nn.Linear(2 * width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return self.down(F.gelu(self.up(torch.cat([x, y], dim=-1))))


@register_bridge("g")
class CrossAttention(Join):
    """(g) MCA(x, y): queries from x, keys and values from y."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.attention = MultiHeadAttention(width, heads)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return self.attention(x, y, key_mask(mask))


@register_bridge("h")
class CrossAttentionFeedForward(CrossAttention):
    """(h) FFN(MCA(x, y)), the feed-forward part four times as wide."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return self.down(F.gelu(self.up(super().forward(x, y, mask))))


@register_bridge("i")
class ResidualProjection(Projection):
    """(i) x + y + W [x; y]; W starts at zero, so training starts from the sum (a)."""

    starts_at_zero = ("linear",)

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        return x + y + super().forward(x, y, mask)


class Bridge(Aggregation):
    """Layer norm of the previous output joined with this level's uni-modal layer.

    The first level has no previous output: its bridge is the layer norm of the expert alone.

    Args:
        kind: letter of the definition.
        width, heads: of the cross-modal layers (the heads for (g) and (h) alone).
        level: number of the cross-modal layer from 0, and of its expert.
        eps: of the layer norm.
    """

    def __init__(self, kind: str, width: int, heads: int, level: int, eps: float) -> None:
        super().__init__()
        self.level = level
        self.join = BRIDGES[kind](width, heads) if level else None
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, None]:
        """-> (B, T, D); there are no weights."""
        expert = inputs.experts[self.level]
        if self.join is not None:
            previous = inputs.previous[-1]
            expert = self.join(previous, expert.expand_as(previous), inputs.mask)
        return self.norm(expert), None
