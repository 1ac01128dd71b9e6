"""Managers: where the weights over experts come from (ManagerTower section 3, appendix D).

A new manager is one class with ``@register_manager``, here or in a ``--user-dir``. The first level
has no previous cross-modal output, hence no query: it is always static (section 3.4).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.manager_base import (
    FusedQuery,
    Manager,
    ManagerOptions,
    PreviousOutputManager,
)
from mt_fairseq.modules.heads import DecayedLayerNorm
from mt_fairseq.registry import Registry

MANAGERS: Registry[type[Manager]] = Registry("manager")
register_manager = MANAGERS.register


@register_manager("saue")
class StaticManager(PreviousOutputManager):
    """SAUE, equations 5, 8 and 9: learnt weights, the same for all tokens and samples.

    Scores (N, D) start at 1/N, so all experts weigh the same.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        count = options.num_experts
        self.scores = nn.Parameter(torch.full((count, options.channels), 1 / count))

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (N, D or 1), with noise (B, N, T, D)."""
        managed, weights = self.aggregate(self.scores, inputs.experts)
        if inputs.previous:
            managed = torch.addcmul(managed, self.normed_previous(inputs), self.previous_weight)
        return managed, weights


@register_manager("sae")
class AllLayersManager(Manager):
    """SAE, equation 4: learnt weights over the experts and *all* previous cross-modal outputs.

    One softmax over all N + l of them, scores starting at 1 / (N + l).
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        count = options.num_experts + level
        self.scores = nn.Parameter(torch.full((count, options.channels), 1 / count))
        self.previous_norms = nn.ModuleList(
            DecayedLayerNorm(options.width, options.eps) for _ in range(level)
        )

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (N + l, D or 1), with noise (B, N + l, T, D).

        Rows of the experts come first, then those of the previous outputs.
        """
        previous = self.normed_previous(inputs)
        ones, zeros = self.no_norms(len(previous))
        norms = (
            torch.cat([self.expert_norm_weight, ones]),
            torch.cat([self.expert_norm_bias, zeros]),
        )
        return self.aggregate(self.scores, [*inputs.experts, *previous], norms)

    def normed_previous(self, inputs: AggregationInput) -> list[Tensor]:
        """(B, T, D) each: all previous outputs of this modality, normed."""
        return [norm(x) for norm, x in zip(self.previous_norms, inputs.previous, strict=True)]

    def no_norms(self, count: int) -> tuple[Tensor, Tensor]:
        """Scale and shift of rows that are complete as they are."""
        one = self.expert_norm_weight.new_ones(count, self.options.width)
        return one, torch.zeros_like(one)


@register_manager("sae-split")
class SplitLayersManager(AllLayersManager):
    """SAE's split form (section 3.1): one softmax for the experts, one for previous outputs.

    Scores start at 1/N and 1/l; each softmax has its own temperature. A single previous output
    simply has weight 1: a softmax over one score would learn nothing.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        count = options.num_experts
        self.scores = nn.Parameter(torch.full((count, options.channels), 1 / count))
        if level > 1:
            self.previous_scores = nn.Parameter(torch.full((level, options.channels), 1 / level))
            self.previous_temperature = nn.Parameter(torch.ones(1))

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights of the experts (N, D or 1) or (B, N, T, D)."""
        managed, weights = self.aggregate(self.scores, inputs.experts)
        rows = self.normed_previous(inputs)
        if len(rows) == 1:
            return managed + rows[0], weights
        norms = self.no_norms(len(rows))
        mixed, _ = self.aggregate(self.previous_scores, rows, norms, self.previous_temperature)
        return managed + mixed, weights


class AdaptiveManager(PreviousOutputManager):
    """Weights generated for every token, equation 6; subclasses say how from the query.

    The query is the normed previous output of the own modality, or fused with the other's.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        self.fused_query = None
        self.query_width = options.width
        if options.query == "fused":
            self.fused_query = FusedQuery(options.width, options.unmasked_query, options.eps)
            self.query_width = 2 * options.width

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (B, N, T) or (B, N, T, D), always so with noise."""
        previous = self.normed_previous(inputs)
        managed, weights = self.aggregate(self.scores(previous, inputs), inputs.experts)
        return torch.addcmul(managed, previous, self.previous_weight), weights

    def query(self, previous: Tensor, inputs: AggregationInput) -> Tensor:
        """(B, T, D or 2D) of the normed previous output (B, T, D)."""
        if self.fused_query is None:
            return previous
        assert inputs.other is not None
        return self.fused_query(previous, inputs.other, inputs.other_mask)

    def scores(self, previous: Tensor, inputs: AggregationInput) -> Tensor:
        """Normed previous output (B, T, D) -> (B, N, T) or (B, N, T, D)."""
        raise NotImplementedError


@register_manager("aaue")
class LinearManager(AdaptiveManager):
    """AAUE, equation 7: one linear layer gives a score an expert, the same for all channels."""

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        self.controller = nn.Linear(self.query_width, options.num_experts)

    def scores(self, previous: Tensor, inputs: AggregationInput) -> Tensor:
        """The controller is linear: it sees the other modality before the attention's sum."""
        if self.fused_query is None:
            return self.controller(previous).transpose(1, 2)
        assert inputs.other is not None
        weights, other = self.fused_query.attention(previous, inputs.other, inputs.other_mask)
        attended, own = self.controller.weight.tensor_split(2, dim=1)
        scores = weights @ F.linear(other, attended)
        return (scores + F.linear(previous, own, self.controller.bias)).transpose(1, 2)


@register_manager("concat-attention")
class ConcatAttentionManager(AdaptiveManager):
    """Appendix D: a linear layer on [expert; query] gives scores for each channel.

    The layer is shared by the experts; written as a sum of two, so that the query's part runs once
    and nothing is concatenated.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        self.from_expert = nn.Linear(options.width, options.width, bias=False)
        self.from_query = nn.Linear(self.query_width, options.width)

    def scores(self, previous: Tensor, inputs: AggregationInput) -> Tensor:
        experts, shared = inputs.experts, self.from_query(self.query(previous, inputs))
        own = [self.from_expert(self.normed(experts, i)) + shared for i in range(len(experts))]
        return torch.stack(own, dim=1)


@register_manager("cross-attention")
class CrossAttentionManager(AdaptiveManager):
    """Appendix D: attention of the query to the first token of each expert, without values."""

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        self.query_projection = nn.Linear(self.query_width, options.width)
        self.key_projection = nn.Linear(options.width, options.width)

    def scores(self, previous: Tensor, inputs: AggregationInput) -> Tensor:
        query = self.query(previous, inputs)
        first = torch.stack([expert[:, 0] for expert in inputs.experts], dim=1)
        first = torch.addcmul(self.expert_norm_bias, first, self.expert_norm_weight)
        keys = self.key_projection(first) * self.options.width**-0.5
        return keys @ self.query_projection(query).transpose(1, 2)


def build_manager(name: str, options: ManagerOptions, level: int) -> Manager:
    """The manager ``name`` for one modality at ``level``; at level 0 always a static one."""
    return (MANAGERS[name] if level else StaticManager)(options, level)
