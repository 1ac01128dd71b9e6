"""Dropout for training on CPUs: which values are dropped costs a tenth of torch's own draw.

torch draws a double for every value, on one thread. Sixteen random bits are enough: the probability
is then a multiple of 1/65536, and the scale follows the probability that is really drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mt_fairseq.kernels.cpu.draws import fill_in_pieces

BITS = 16
PER_WORD = 64 // BITS
LOWEST_WORD, LOWEST = -(2**63), -(2 ** (BITS - 1))


def drawn_probability(dropout: float) -> float:
    """The multiple of 1/65536 with which values are dropped for ``dropout``."""
    return round(dropout * 2**BITS) / 2**BITS


def draw_kept(shape: Sequence[int], dropout: float) -> Tensor:
    """uint8 CPU tensor, 0 with ``drawn_probability(dropout)``, else 1; follows torch's generator.

    To multiply by: torch takes a tenth of the time that it takes to fill by a boolean mask.
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // PER_WORD), dtype=torch.int64)
    fill_in_pieces(words, lambda own, rng: own.random_(LOWEST_WORD, None, generator=rng))
    kept = words.view(torch.int16)[:count] >= LOWEST + round(dropout * 2**BITS)
    return kept.view(torch.uint8).view(tuple(shape))


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropout: float) -> Tensor:
        kept = draw_kept(x.shape, dropout)
        ctx.save_for_backward(kept)
        ctx.scale = 1 / (1 - drawn_probability(dropout))
        return (x * kept).mul_(ctx.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (kept,) = ctx.saved_tensors
        return (grad * kept).mul_(ctx.scale), None


def dropout(x: Tensor, probability: float) -> Tensor:
    """As ``plain.dropout``, for probabilities below 1."""
    return _Dropout.apply(x, probability)
