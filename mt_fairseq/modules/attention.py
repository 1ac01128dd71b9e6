"""Multi-head attention over torch's fused kernels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def key_mask(mask: Tensor | None) -> Tensor | None:
    """(B, S) boolean, True on real positions -> (B, 1, 1, S) for scaled_dot_product_attention."""
    return None if mask is None else mask[:, None, None, :]


class MultiHeadAttention(nn.Module):
    """Scaled dot-product attention with its four projections, all with bias (Vaswani et al. 2017).

    Args:
        width: channels D of queries, keys and values.
        heads: number of heads; divides ``width``.
        dropout: probability with which attention weights are dropped in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of the number of heads {heads}")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """Queries from ``x`` (B, T, D), keys and values from ``memory`` (B, S, D) -> (B, T, D).

        ``mask`` (B, 1, 1, S) boolean, False where a key must not be attended.
        """
        attended = F.scaled_dot_product_attention(
            self._split(self.query(x)),
            self._split(self.key(memory)),
            self._split(self.value(memory)),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, heads, T, D / heads)."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
