"""What all managers share: normed experts, scores, noise, temperature, the weighted sum."""

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

    @property
    def channels(self) -> int:
        """Static weights of one expert."""
        return self.width if self.weight == "vector" else 1


class Manager(Aggregation):
    """Weighted sum of normed experts.

    The weights are softmax((scores + noise) / temperature). The noise is drawn in training only,
    for each sample, expert, position and channel.

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

    def softmax(self, scores: Tensor, like: Tensor, temperature: Tensor | None = None) -> Tensor:
        """Scores (n, D or 1), (B, n, T) or (B, n, T, D) -> weights; with noise (B, n, T, D).

        ``like`` (B, T, D) is one of the tensors to be weighted; ``temperature`` is the manager's
        own unless given.
        """
        if self.training and self.options.noise:
            count = scores.shape[0] if scores.dim() == 2 else scores.shape[1]
            batch, positions, width = like.shape
            noise = self.draw_noise((batch, count, positions, width), like)
            if scores.dim() == 2:
                scores = scores[:, None]
            elif scores.dim() == 3:
                scores = scores[..., None]
            scores = scores + noise
        temperature = self.temperature if temperature is None else temperature
        return torch.softmax(scores / temperature, dim=0 if scores.dim() == 2 else 1)

    def weighted_sum(self, experts: list[Tensor], weights: Tensor) -> Tensor:
        """Sum over experts of weight x layer norm -> (B, T, D), one running sum, no stack."""
        if weights.dim() == 2:  # static: the norms' scale and shift fold into the weights
            scales = weights * self.expert_norm_weight
            total = (weights * self.expert_norm_bias).sum(0).expand_as(experts[0])
            for expert, scale in zip(experts, scales, strict=True):
                total = torch.addcmul(total, expert, scale)
            return total
        weights = weights if weights.dim() == 4 else weights[..., None]
        total = self.normed(experts, 0) * weights[:, 0]
        for i in range(1, len(experts)):
            total = torch.addcmul(total, self.normed(experts, i), weights[:, i])
        return total

    def normed(self, experts: list[Tensor], i: int) -> Tensor:
        """Expert i with the scale and shift of its layer norm, (B, T, D)."""
        return torch.addcmul(self.expert_norm_bias[i], experts[i], self.expert_norm_weight[i])

    def _normal_noise(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        std = self.options.noise / shape[1]
        return torch.randn(shape, dtype=like.dtype, device=like.device) * std


class PreviousOutputManager(Manager):
    """A manager that also adds the last cross-modal output, normed, with a weight of its own.

    That weight starts at 1 and is used as it is, outside the softmax (equations 5 and 6).
    """

    def __init__(self, options: ManagerOptions, level: int) -> None:
        super().__init__(options, level)
        if level:
            self.previous_norm = DecayedLayerNorm(options.width, options.eps)
            self.previous_weight = nn.Parameter(torch.ones(options.channels))

    def normed_previous(self, inputs: AggregationInput) -> Tensor:
        """(B, T, D): the last cross-modal output of this modality, normed."""
        return self.previous_norm(inputs.previous[-1])


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
