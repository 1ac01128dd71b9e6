"""Attention by associativity and with dropout, against the usual form written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.modules import attention
from mt_fairseq.modules.attention import MultiHeadAttention, key_mask
from mt_fairseq.modules.dropout import draw_kept, drawn_probability
from mt_fairseq.modules.dropped_attention import dropped_attention

WIDTH, HEADS, LONG, SHORT = 32, 4, 40, 3
SIDES = {
    "few queries": ((2, SHORT), (2, LONG)),
    "few keys": ((2, LONG), (2, SHORT)),
    "one text, many images": ((1, SHORT), (2, LONG)),
    "one image, many texts": ((1, LONG), (2, SHORT)),
    "alike": ((2, 12), (2, 12)),
}


def plain(module: MultiHeadAttention, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
    def split(states: Tensor) -> Tensor:
        return states.unflatten(2, (HEADS, -1)).transpose(1, 2)

    q, k, v = split(module.query(x)), split(module.key(memory)), split(module.value(memory))
    scores = (q @ k.mT / math.sqrt(WIDTH // HEADS)).masked_fill(~key_mask(mask), -torch.inf)
    return module.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


@pytest.mark.parametrize("sizes", SIDES.values(), ids=SIDES.keys())
@pytest.mark.parametrize("memory_width", [WIDTH, 20])
def test_short_sides(
    sizes: tuple[tuple[int, int], tuple[int, int]],
    memory_width: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    own, other = sizes
    module = MultiHeadAttention(WIDTH, HEADS, memory_width=memory_width).double()
    x = torch.randn(*own, WIDTH, dtype=torch.float64, requires_grad=True)
    memory = torch.randn(*other, memory_width, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(other) < 0.7
    mask[:, 0] = True
    folded = {
        attention.fold_keys_pays(x, memory, WIDTH, HEADS),
        attention.fold_queries_pays(x, memory, WIDTH, HEADS),
    }
    assert (True in folded) == (own[1] != other[1])
    leaves = [x, memory, *module.parameters()]
    expected = plain(module, x, memory, mask)
    result = module(x, memory, key_mask(mask))
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(
        torch.autograd.grad(result.sin().sum(), leaves),
        torch.autograd.grad(expected.sin().sum(), leaves),
    )


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
    monkeypatch.setattr("mt_fairseq.modules.dropped_attention.CHUNK", chunk)
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
