"""Managers: weighted sums of all uni-modal experts (ManagerTower section 3).

A new manager is one class here with its name in ``MANAGERS``. All of them normalise each expert
with a layer norm of its own and add the normed output of the previous cross-modal layer; they
differ in where the weights over the experts come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules.aggregation.base import Aggregation, AggregationInput
from mt_fairseq.modules.attention import key_mask
from mt_fairseq.modules.heads import DecayedLayerNorm


@dataclass(frozen=True)
class ManagerOptions:
    """What all managers of a model share.

    Attributes:
        width: channels D.
        num_experts: N.
        query: "fused" (own and other modality) or "own"; adaptive managers only.
        weight: "vector" (a weight for each channel) or "scalar"; static weights only.
        noise: standard deviation of the training noise in units of 1/N; 0 switches it off.
        unmasked_query: let the fused query attend padding, as the reference does.
        eps: of the layer norms.
    """

    width: int
    num_experts: int
    query: str = "fused"
    weight: str = "vector"
    noise: float = 1.0
    unmasked_query: bool = False
    eps: float = 1e-5


class Manager(Aggregation):
    """Weighted sum of normed experts, plus the weighted normed previous output.

    The weights over the experts are softmax((scores + noise) / temperature); the weight of the
    previous output starts at 1 and is used as it is (equations 5 and 6). The noise is drawn in
    training only, for each sample, expert, position and channel.

    The experts arrive already normalised to mean 0 and variance 1; this manager's own scale and
    shift, (N, D) each, complete its N layer norms. ``temperature`` divides the expert scores
    only: the reference's second temperature is never used, so it is left out here.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__()
        self.options = options
        experts, width = options.num_experts, options.width
        self.expert_norm_weight = nn.Parameter(torch.ones(experts, width))
        self.expert_norm_bias = nn.Parameter(torch.zeros(experts, width))
        self.temperature = nn.Parameter(torch.ones(1))
        self.draw_noise: Callable[[tuple[int, ...], Tensor], Tensor] = self._normal_noise
        if level:
            channels = width if options.weight == "vector" else 1
            self.previous_norm = DecayedLayerNorm(width, options.eps)
            self.previous_weight = nn.Parameter(torch.ones(channels))

    def normed_previous(self, inputs: AggregationInput) -> Tensor:
        """(B, T, D): the last cross-modal output of this modality, normed."""
        return self.previous_norm(inputs.previous[-1])

    def expert_weights(self, scores: Tensor, experts: list[Tensor]) -> Tensor:
        """Scores (N, D or 1) or (B, N, T) -> weights; with noise (B, N, T, D)."""
        if self.training and self.options.noise:
            batch, positions, width = experts[0].shape
            noise = self.draw_noise((batch, len(experts), positions, width), experts[0])
            scores = (scores[:, None] if scores.dim() == 2 else scores[..., None]) + noise
        dim = 0 if scores.dim() == 2 else 1
        return torch.softmax(scores / self.temperature, dim=dim)

    def weighted_sum(self, experts: list[Tensor], weights: Tensor) -> Tensor:
        """Sum over experts of weight x layer norm -> (B, T, D), one running sum, no stack."""
        if weights.dim() == 2:  # static: the norms' scale and shift fold into the weights
            scales = weights * self.expert_norm_weight
            total = (weights * self.expert_norm_bias).sum(0).expand_as(experts[0])
            for expert, scale in zip(experts, scales, strict=True):
                total = torch.addcmul(total, expert, scale)
            return total
        weights = weights if weights.dim() == 4 else weights[..., None]
        total = self._normed(experts, 0) * weights[:, 0]
        for i in range(1, len(experts)):
            total = torch.addcmul(total, self._normed(experts, i), weights[:, i])
        return total

    def _normed(self, experts: list[Tensor], i: int) -> Tensor:
        """Expert i with the scale and shift of its layer norm."""
        return torch.addcmul(self.expert_norm_bias[i], experts[i], self.expert_norm_weight[i])

    def _normal_noise(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        std = self.options.noise / self.options.num_experts
        return torch.randn(shape, dtype=like.dtype, device=like.device) * std


class StaticManager(Manager):
    """SAUE, equations 5, 8 and 9: learnt weights, the same for all tokens and samples.

    Scores (N, D) start at 1/N, so all experts weigh the same.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        channels = options.width if options.weight == "vector" else 1
        self.scores = nn.Parameter(
            torch.full((options.num_experts, channels), 1 / options.num_experts)
        )

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (N, D or 1), with noise (B, N, T, D)."""
        weights = self.expert_weights(self.scores, inputs.experts)
        managed = self.weighted_sum(inputs.experts, weights)
        if inputs.previous:
            managed = torch.addcmul(managed, self.normed_previous(inputs), self.previous_weight)
        return managed, weights


class FusedQuery(nn.Module):
    """One-head attention of a modality to the other, without value and output projection.

    (B, T, D), (B, S, D) -> (B, T, 2D): the attended other modality, then the query itself.
    The reference also attends padding of the text (``unmasked``), so that its results depend on
    how long the padding is; here padding is masked unless a converted model asks for it.
    """

    def __init__(self, width: int, unmasked: bool, eps: float) -> None:
        super().__init__()
        self.unmasked = unmasked
        self.norm = nn.LayerNorm(width, eps)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def forward(self, own: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
        """``own`` is already normed; ``other`` is normed here; ``mask`` (B, S) over ``other``."""
        other = self.norm(other)
        mask = None if self.unmasked else key_mask(mask)
        attended = F.scaled_dot_product_attention(
            self.query(own)[:, None], self.key(other)[:, None], other[:, None], attn_mask=mask
        )
        return torch.cat([attended[:, 0], own], dim=-1)


class AdaptiveManager(Manager):
    """AAUE, equations 6 and 7: weights generated for every token from a query.

    One linear layer gives a score for each expert, the same for all channels.
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        width, fused = options.width, options.query == "fused"
        self.fused_query = FusedQuery(width, options.unmasked_query, options.eps) if fused else None
        self.controller = nn.Linear(2 * width if fused else width, options.num_experts)

    def forward(self, inputs: AggregationInput) -> tuple[Tensor, Tensor]:
        """-> managed input (B, T, D); weights (B, N, T), in training with noise (B, N, T, D)."""
        previous = self.normed_previous(inputs)
        query = previous
        if self.fused_query is not None:
            assert inputs.other is not None
            query = self.fused_query(previous, inputs.other, inputs.other_mask)
        scores = self.controller(query).transpose(1, 2)
        weights = self.expert_weights(scores, inputs.experts)
        managed = self.weighted_sum(inputs.experts, weights)
        return torch.addcmul(managed, previous, self.previous_weight), weights


MANAGERS: dict[str, type[Manager]] = {"saue": StaticManager, "aaue": AdaptiveManager}


def build_manager(name: str, options: ManagerOptions, level: int) -> Manager:
    """The manager ``name`` for one modality at ``level``; level 0 has no query: always static."""
    return (MANAGERS[name] if level else StaticManager)(options, level)
