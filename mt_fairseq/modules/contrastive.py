"""Similarities of a batch, which pairs of it belong together, and hard negatives drawn from it.

Source: ALBEF's ITC and ITM with hard negatives, as ManagerTower's appendix A.2 takes them over.
Shapes: B samples of this process, M samples of all processes.
"""

from __future__ import annotations

import torch
from torch import Tensor


def similarities(queries: Tensor, candidates: Tensor, temperature: Tensor) -> Tensor:
    """Features (B, E) and (M, E) of length one -> logits (B, M), float32 whatever the input."""
    return queries.float() @ candidates.float().T / temperature.float()


def same(own: Tensor, every: Tensor) -> Tensor:
    """Where numbers (B,) and (M,) agree: (B, M) boolean."""
    return own[:, None] == every[None, :]


@torch.no_grad()
def negative_weights(logits: Tensor, positives: Tensor) -> Tensor:
    """Probabilities (B, M) of drawing each candidate as a hard negative: softmax of the negatives.

    The reference takes the softmax over all candidates and sets positives to zero, which is the
    same in proportion; here the negatives' weights cannot vanish beside a strong positive. Rows
    without any negative are zero throughout.
    """
    weights = logits.double().masked_fill(positives, -torch.inf).softmax(dim=-1)
    return weights.nan_to_num(0.0)


@torch.no_grad()
def draw_negatives(weights: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """One candidate a row, with probability proportional to its weight.

    Args:
        weights: (B, M), not negative.
        draws: (B,) uniform in [0, 1). They decide alone, so that a sample draws the same
            negative however the batch is spread over processes.

    Returns:
        (B,) the candidates, and (B,) boolean: False for a row without weight, whose candidate
        means nothing. (The reference then draws among all, true matches included.)
    """
    cumulative = weights.double().cumsum(dim=-1)
    found = weights.sum(dim=-1) > 0
    target = draws.double() * cumulative[:, -1:].sum(dim=-1)
    index = torch.searchsorted(cumulative, target[:, None], right=True)[:, 0]
    return index.clamp(0, max(weights.shape[1] - 1, 0)), found
