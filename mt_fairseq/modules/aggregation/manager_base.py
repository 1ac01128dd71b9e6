"""What all managers share: normed experts, scores, noise, temperature, the weighted sum."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mt_fairseq.kernels import noisy_weighted_sum, normal_noise
from mt_fairseq.modules.aggregation.base import Aggregation, AggregationInput
from mt_fairseq.modules.aggregation.weighting import weighted_sum
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

    def aggregate(
        self,
        scores: Tensor,
        rows: Sequence[Tensor],
        norms: tuple[Tensor, Tensor] | None = None,
        temperature: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Weighted sum of rows (B, T, D) by scores (n, D or 1), (B, n, T) or (B, n, T, D).

        Args:
            scores: one for each row.
            rows: experts, and what else they share a softmax with.
            norms: (n, D) each: scale and shift of the rows; those of the experts unless given.
            temperature: (1,); the manager's own unless given.

        Returns:
            (B, T, D), and the weights in the shape of the scores, with noise (B, n, T, D).
        """
        scale, shift = norms or (self.expert_norm_weight, self.expert_norm_bias)
        temperature = self.temperature if temperature is None else temperature
        static = scores.dim() == 2
        if not (self.training and self.options.noise):
            weights = torch.softmax(scores / temperature, dim=0 if static else 1)
            return weighted_sum(rows, weights, scale, shift), weights
        batch, positions, width = rows[0].shape
        noise = self.draw_noise((batch, len(rows), positions, width), rows[0])
        if static:
            scores = scores[None, :, None]
        elif scores.dim() == 3:
            scores = scores[..., None]
        return noisy_weighted_sum(scores, noise, temperature, scale, shift, rows)

    def weighted_sum(self, experts: list[Tensor], weights: Tensor) -> Tensor:
        """The experts' part of the managed input (B, T, D), for weights that are known."""
        return weighted_sum(experts, weights, self.expert_norm_weight, self.expert_norm_bias)

    def normed(self, experts: list[Tensor], i: int) -> Tensor:
        """Expert i with the scale and shift of its layer norm, (B, T, D)."""
        return torch.addcmul(self.expert_norm_bias[i], experts[i], self.expert_norm_weight[i])

    def _normal_noise(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        return normal_noise(shape, like, std=self.options.noise / shape[1])


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
        self.factor = width**-0.5
        self.norm = nn.LayerNorm(width, eps)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def forward(self, own: Tensor, other: Tensor, mask: Tensor | None) -> Tensor:
        """``own`` is already normed; ``other`` is normed here; ``mask`` (B, S) over ``other``."""
        other = self.norm(other)
        scores = self.query(own) * self.factor @ self.key(other).mT  # (B, T, S)
        if mask is not None and not self.unmasked:
            scores = scores.masked_fill(~mask[:, None], -torch.inf)
        return torch.cat([scores.softmax(dim=-1) @ other, own], dim=-1)
