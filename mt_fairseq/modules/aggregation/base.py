"""The interface of an aggregation: one modality at one cross-modal layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass
class AggregationInput:
    """All that any aggregation may look at.

    Shapes: T own positions, S positions of the other modality.
    """

    experts: list[Tensor]  # N of (B, T, D): this modality's uni-modal layers, lowest first
    mask: Tensor | None  # (B, T) boolean, True on real positions; None: all are real
    previous: list[Tensor]  # (B, T, D) outputs of all cross-modal layers below, first to last
    other: Tensor | None  # (B, S, D) the other modality's last output; None at the first layer
    other_mask: Tensor | None  # (B, S) like ``mask``


class Aggregation(nn.Module):
    """Gives a cross-modal layer its input for one modality."""

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor | None]:
        """-> the layer's input (B, T, D), and the weights over the experts where there are any."""
        raise NotImplementedError
