"""Dropout by sixteen random bits: how often, by how much, the same again from the same seed."""

import pytest
import torch
from torch import nn

from mt_fairseq.kernels import dropout
from mt_fairseq.kernels.cpu.dropout import draw_kept, drawn_probability
from mt_fairseq.modules.dropout import Dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_share_and_independence(probability: float) -> None:
    torch.manual_seed(0)
    drawn = 1 - draw_kept((4, 1000, 1000), probability).double()
    spread = (probability * (1 - probability) / drawn.numel()) ** 0.5
    assert abs(drawn.mean() - drawn_probability(probability)) < 5 * spread
    assert abs(drawn_probability(probability) - probability) <= 2**-17
    centred = drawn.flatten() - drawn.mean()
    for distance in (1, 2, 3, 4, 1000):  # four values come from one word
        together = (centred[distance:] * centred[:-distance]).mean() / centred.square().mean()
        assert abs(together) < 5 / drawn.numel() ** 0.5


def test_any_number_of_values() -> None:
    for shape in ((0,), (1,), (3, 1), (5, 7), ()):
        assert draw_kept(shape, 0.5).shape == shape


def test_values_and_gradients() -> None:
    torch.manual_seed(0)
    x = torch.randn(50, 40, requires_grad=True)
    result = dropout(x, 0.3)
    kept = result != 0
    scale = 1 / (1 - drawn_probability(0.3))
    assert torch.allclose(result[kept], x[kept] * scale)
    result.sum().backward()
    assert torch.equal(x.grad, kept * torch.tensor(scale))


def test_the_layer_follows_the_seed_and_the_mode() -> None:
    layer, x = Dropout(0.4), torch.randn(8, 8)
    assert isinstance(layer, nn.Dropout)  # so that tools that look for it find it
    results = []
    for _ in range(2):
        torch.manual_seed(3)
        results.append(layer(x))
    assert torch.equal(*results)
    assert not torch.equal(results[0], layer(x))
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert torch.equal(Dropout(1.0)(x), torch.zeros_like(x))
