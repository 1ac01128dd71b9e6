"""A manager and a bridge of one's own: ``--manager-type gated``, ``--bridge-type max``."""

import torch
from torch import Tensor, nn

from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.bridges import Join
from mt_fairseq.modules.aggregation.manager_base import ManagerOptions, PreviousOutputManager
from mt_fairseq.registries import register_bridge, register_manager


@register_manager("gated")
class GatedManager(PreviousOutputManager):
    """Every expert has a gate of its own: a sigmoid instead of a softmax over all of them."""

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        self.gates = nn.Parameter(torch.zeros(options.num_experts, options.channels))

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (N, D or 1)."""
        weights = torch.sigmoid(self.gates)
        managed = self.weighted_sum(inputs.experts, weights)
        if inputs.previous:
            managed = managed + self.previous_weight * self.normed_previous(inputs)
        return managed, weights


@register_bridge("max")
class Maximum(Join):
    """The larger of the two, channel by channel."""

    def forward(self, x: Tensor, y: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, D), (B, T, D) -> (B, T, D)."""
        return torch.maximum(x, y)
