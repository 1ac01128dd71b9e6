"""Attention between a long and a short sequence, by associativity: equal, with fewer operations.

A head's scores are (Wq x) . (Wk y), so Wq'Wk can act on either side, and its part of the output is
Wo Wv y weighted. Where one side is short (a caption beside hundreds of patches), all projections
act on that side alone, and the long one is read as it is. With 17 words, 325 patches and 12 heads
the projections of the long side cost 27 % of the usual form. Weights are the usual ones.

Shapes: B batch, T queries, S keys, H heads, E channels of a head, D = H * E, M memory channels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Linear

from mt_fairseq.modules.dropout import dropout as drop
from mt_fairseq.modules.linear import batched_product

MARGIN = 0.75  # the saving must pay for scores that a fused kernel would not write to memory


def fold_keys_pays(x: Tensor, memory: Tensor, width: int, heads: int) -> bool:
    """Whether few queries should read the memory unprojected."""
    batch, queries, keys = _sizes(x, memory)
    other = memory.shape[2]
    usual = 2 * len(memory) * keys * other * width + 2 * batch * queries * keys * width
    folded = 2 * len(x) * queries * width * other + 2 * batch * queries * heads * keys * other
    return folded < MARGIN * usual


def fold_queries_pays(x: Tensor, memory: Tensor, width: int, heads: int) -> bool:
    """Whether many queries should be compared with few keys unprojected."""
    batch, queries, keys = _sizes(x, memory)
    usual = len(x) * queries * width * width + batch * queries * width * (width + 2 * keys)
    folded = 2 * len(memory) * keys * width * width + 2 * batch * queries * heads * keys * width
    return folded < MARGIN * usual


def attend_few_queries(
    x: Tensor, memory: Tensor, mask: Tensor | None, heads: int, dropout: float,
    query: Linear, key: Linear, value: Linear,
) -> Tensor:  # fmt: skip
    """(B, T, D), (B, S, M), mask (B, 1, 1, S) -> what the output projection reads, (B, T, D).

    The key's bias adds the same to all scores of a query, so the softmax does not see it; it stays
    for the sake of its parameter, which would else be one without a gradient.
    """
    q = query(x).unflatten(2, (heads, -1))  # (B, T, H, E)
    q = q * q.shape[-1] ** -0.5
    folded = torch.einsum("bthe,hem->bthm", q, _by_head(key.weight, heads))
    scores = batched_product(folded.flatten(1, 2), memory)  # (B, T * H, S)
    scores = scores + (q * key.bias.unflatten(0, (heads, -1))).sum(-1).flatten(1)[..., None]
    if mask is not None:
        scores = scores.masked_fill(~mask[:, 0], -torch.inf)
    weights = drop(scores.softmax(dim=-1), dropout)
    seen = batched_product(weights, memory.mT).unflatten(1, (-1, heads))  # (B, T, H, M)
    attended = torch.einsum("bthm,hem->bthe", seen, _by_head(value.weight, heads))
    share = weights.sum(dim=-1).unflatten(1, (-1, heads))[..., None]  # 1 but for dropout
    return (attended + share * value.bias.unflatten(0, (heads, -1))).flatten(2)


def attend_few_keys(
    x: Tensor, memory: Tensor, mask: Tensor | None, heads: int, dropout: float,
    query: Linear, key: Linear, value: Linear, out: Linear,
) -> Tensor:  # fmt: skip
    """(B, T, D), (B, S, M), mask (B, 1, 1, S) -> the attention's output, projected: (B, T, D)."""
    k = key(memory).unflatten(2, (heads, -1))  # (B, S, H, E)
    k = k * k.shape[-1] ** -0.5
    v = value(memory).unflatten(2, (heads, -1))
    keys = torch.einsum("bshe,hed->bhsd", k, _by_head(query.weight, heads))
    values = torch.einsum("bshe,hed->bhsd", v, _by_head(out.weight.T, heads))
    bias = torch.einsum("bshe,he->bhs", k, query.bias.unflatten(0, (heads, -1)))
    if mask is not None:
        bias = bias.masked_fill(~mask[:, :, 0], -torch.inf)
    scores = batched_product(x, keys.flatten(1, 2)) + bias.flatten(1)[:, None]  # (B, T, H * S)
    weights = scores.unflatten(2, (heads, -1)).softmax(dim=-1).flatten(2)
    weights = drop(weights, dropout)
    return batched_product(weights, values.flatten(1, 2).mT) + out.bias


def _sizes(x: Tensor, memory: Tensor) -> tuple[int, int, int]:
    return max(len(x), len(memory)), x.shape[1], memory.shape[1]


def _by_head(weight: Tensor, heads: int) -> Tensor:
    """(D, M) -> (H, E, M)."""
    return weight.unflatten(0, (heads, -1))
