"""METER: the last layer of each encoder goes straight into the co-attention stack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mt_fairseq.modules.aggregation.base import Aggregation, AggregationInput


class LastLayer(Aggregation):
    """The encoder's last layer at the first level, the previous output after it; no norm."""

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, None]:
        """-> (B, T, D); there are no weights."""
        return (inputs.previous or inputs.experts)[-1], None


class LayerGate(nn.Module):
    """METER's weighted sum: the last layer plus a gated sum of all layers below it.

    One linear layer W -> W, shared by the layers, gives each a logit for every channel; the softmax
    runs over the layers below the last.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)

    def forward(self, layers: list[Tensor]) -> Tensor:
        """Encoder layers (B, ., W), lowest first -> (B, ., W)."""
        *lower, last = layers
        weights = torch.stack([self.gate(layer) for layer in lower]).softmax(dim=0)
        for layer, weight in zip(lower, weights, strict=True):
            last = torch.addcmul(last, layer, weight)
        return last
