"""The feed-forward part of a vision block."""

from __future__ import annotations

from torch import Tensor, nn

from mt_fairseq.kernels import activated_linear


class FeedForward(nn.Module):
    """Linear, activation, linear; with a vision block's names, fc1 and fc2.

    Args:
        fc1, fc2: linear layers up and down.
        activation: name of what stands between them, one of ``kernels.ACTIVATIONS``.
    """

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.fc1 = fc1
        self.fc2 = fc2

    def forward(self, x: Tensor) -> Tensor:
        """(..., W) -> (..., W)."""
        return activated_linear(self.fc1(x), self.fc2, self.activation)
