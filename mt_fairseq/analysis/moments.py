"""Averages that are kept while samples stream by: constant memory, whatever the split's size."""

from __future__ import annotations

import torch
from torch import Tensor


class Moments:
    """Mean and standard deviation over tokens, every sample counting the same.

    A sample's tokens share its weight of one, so long texts count no more than short ones.
    """

    def __init__(self) -> None:
        self.samples = 0
        self._sum: Tensor | float = 0.0
        self._squares: Tensor | float = 0.0

    def add(self, values: Tensor, share: Tensor) -> None:
        """Values (B, ..., T) with each token's share (B, T), which sums to 1 over a sample."""
        values = values.double()
        share = share.to(values).reshape(len(share), *[1] * (values.dim() - 2), -1)
        self._sum = self._sum + (values * share).sum(dim=(0, -1)).cpu()
        self._squares = self._squares + (values.square() * share).sum(dim=(0, -1)).cpu()
        self.samples += len(values)

    @property
    def mean(self) -> Tensor:
        """(...) float64."""
        return torch.as_tensor(self._sum) / self.samples

    @property
    def std(self) -> Tensor:
        """(...) float64."""
        variance = torch.as_tensor(self._squares) / self.samples - self.mean.square()
        return variance.clamp(min=0).sqrt()
