"""Attention with dropout on CPUs against the usual form written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from mt_fairseq.kernels.cpu.attention import dropped_attention
from mt_fairseq.kernels.cpu.dropout import draw_kept, drawn_probability
from mt_fairseq.modules.attention import MultiHeadAttention

WIDTH, HEADS = 32, 4
SIDES = {
    "few queries": ((2, 3), (2, 40)),
    "one text, many images": ((1, 3), (2, 40)),
    "one image, many texts": ((1, 40), (2, 3)),
}


@pytest.mark.parametrize("sizes", SIDES.values(), ids=SIDES.keys())
def test_dropout_keeps_the_mean(sizes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    torch.manual_seed(0)
    module = MultiHeadAttention(WIDTH, HEADS, dropout=0.3)
    x, memory = torch.randn(*sizes[0], WIDTH), torch.randn(*sizes[1], WIDTH)
    with torch.no_grad():
        expected = module.eval()(x, memory)
        module.train()
        runs = torch.stack([module(x, memory) for _ in range(600)])
    assert not runs[0].equal(runs[1])
    error = (runs.mean(0) - expected).abs() / (runs.std(0) / 600**0.5)
    assert error.max() < 6  # standard errors, of some thousand values


@pytest.mark.parametrize("chunk", [1, 2**21], ids=["sample by sample", "all at once"])
@pytest.mark.parametrize("masked", [False, True])
def test_dropped_attention_and_its_gradients(
    masked: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mt_fairseq.kernels.cpu.attention.CHUNK", chunk)
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 8, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[1, 1, 0, 1, 0], [1, 0, 1, 1, 1]]).bool()[:, None, None]
    mask = mask if masked else None
    torch.manual_seed(1)
    result = dropped_attention(q, k, v, mask, 0.3)
    torch.manual_seed(1)
    kept = draw_kept((2, 3, 5, 5), 0.3)
    scores = q @ k.mT / math.sqrt(8)
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    expected = (scores.softmax(-1) * kept / (1 - drawn_probability(0.3))) @ v
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(
        torch.autograd.grad(result.sin().sum(), [q, k, v]),
        torch.autograd.grad(expected.sin().sum(), [q, k, v]),
    )


def test_dropped_attention_of_half_types_is_near() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 5, 8) for _ in range(3))
    exact = F.scaled_dot_product_attention(q, k, v)
    near = dropped_attention(q.bfloat16(), k.bfloat16(), v.bfloat16(), None, 1e-9)
    torch.testing.assert_close(near.float(), exact, rtol=0.05, atol=0.05)
