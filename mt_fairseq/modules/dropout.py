"""Dropout layers."""

from __future__ import annotations

from torch import Tensor, nn

from mt_fairseq.kernels import dropout


class Dropout(nn.Dropout):
    """torch's dropout layer over our draw."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same; in evaluation ``x`` itself."""
        return dropout(x, self.p) if self.training else x
