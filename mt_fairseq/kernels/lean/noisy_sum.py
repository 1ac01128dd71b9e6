"""A manager's weighted sum with noise, by a function with gradients of its own.

Shapes: N rows (experts, or outputs of layers below) of (B or 1, T, D); their scale and shift are
(N, D) each: weight i acts on scale i * row i + shift i.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _NoisySum(torch.autograd.Function):
    """The weighted sum for weights softmax((scores + noise) / temperature) over the rows.

    Autograd's own form gives the same. It keeps several tensors as large as the noise, and makes
    one more of them, zero nearly everywhere, as the gradient of every slice ``weights[:, i]``.
    This one keeps the weights and nothing else of that size.
    """

    @staticmethod
    def forward(
        ctx: Any,
        scores: Tensor,
        noise: Tensor,
        temperature: Tensor,
        scale: Tensor,
        shift: Tensor,
        at_once: int | None,
        *rows: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Scores that broadcast to the noise (B, N, T, D) -> (B, T, D), weights (B, N, T, D).

        The weights take the place of the noise. They are for looking at; no gradient goes through
        them.
        """
        weights, rate = noise, 1 / temperature
        total, slope = torch.empty_like(noise[:, 0]), torch.empty_like(noise[:, 0])
        scores_of = scores.expand_as(noise)
        for part in _chunks(noise, at_once):
            here = weights[:, :, part]
            logits = (here + scores_of[:, :, part]).mul_(rate)
            here.copy_(torch.softmax(logits, dim=1))
            states = [row[:, part] for row in rows]
            total[:, part], slope[:, part] = _sums(logits, here, scale, shift, states)
        ctx.save_for_backward(weights, total, slope, temperature, scale, shift, *rows)
        ctx.scores_shape = scores.shape
        ctx.mark_dirty(noise)
        ctx.mark_non_differentiable(weights)
        ctx.set_materialize_grads(False)  # else a zero for every weight
        return total, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor | None, _: None) -> tuple[Tensor | None, ...]:
        """Row by row, in the same memory for every row."""
        if grad is None:
            return (None,) * len(ctx.needs_input_grad)
        weights, total, slope, temperature, scale, shift, *rows = ctx.saved_tensors
        batch, _, *rest = ctx.scores_shape
        of_scale, of_shift = torch.empty_like(scale), torch.empty_like(shift)
        of_scores, of_rows = grad.new_empty(ctx.scores_shape), []
        share, by_row, offset = (torch.empty_like(total) for _ in range(3))
        for i, (row, weight) in enumerate(zip(rows, weights.unbind(1), strict=True)):
            torch.mul(grad, weight, out=share)
            torch.mul(share, row, out=by_row)
            of_shift[i], of_scale[i] = share.sum(dim=(0, 1)), by_row.sum(dim=(0, 1))
            of_rows.append((share * scale[i]).sum_to_size(row.shape))
            # share * (scale * row + shift - total)
            torch.sub(shift[i], total, out=offset)
            of_logits = by_row.mul_(scale[i]).addcmul_(share, offset)
            of_scores[:, i] = of_logits.sum_to_size((batch, *rest))
        of_temperature = (grad * slope).sum() / temperature
        return of_scores.div_(temperature), None, of_temperature, of_scale, of_shift, None, *of_rows


def _chunks(noise: Tensor, at_once: int | None) -> Iterator[slice]:
    """Of the positions of (B, N, T, D), of all samples together ``at_once``; None: all of them."""
    batch, _, positions, _ = noise.shape
    step = max(1, positions if at_once is None else at_once // batch)
    return (slice(start, start + step) for start in range(0, positions, step))


def _sums(
    logits: Tensor, weights: Tensor, scale: Tensor, shift: Tensor, rows: Sequence[Tensor]
) -> tuple[Tensor, Tensor]:
    """Of softmax(logits / t) over normed rows: the total, and t times its derivative by t.

    That is total * sum_i w_i logit_i - sum_i w_i logit_i normed_i. Logits are overwritten.
    """
    along = logits.mul_(weights)
    total, slope = torch.zeros_like(weights[:, 0]), torch.zeros_like(weights[:, 0])
    for i, row in enumerate(rows):
        normed = torch.addcmul(shift[i], row, scale[i])
        total.addcmul_(normed, weights[:, i])
        slope.addcmul_(normed, along[:, i], value=-1)
    return total, slope.addcmul_(total, along.sum(dim=1))


def noisy_weighted_sum(
    scores: Tensor,
    noise: Tensor,
    temperature: Tensor,
    scale: Tensor,
    shift: Tensor,
    rows: Sequence[Tensor],
    at_once: int | None = None,
) -> tuple[Tensor, Tensor]:
    """As ``plain.noisy_weighted_sum``; works on ``at_once`` positions at a time (None: on all)."""
    return _NoisySum.apply(scores, noise, temperature, scale, shift, at_once, *rows)
