"""What needs no whole model: every bridge's shapes, gradients and padding; METER's gate."""

from __future__ import annotations

import pytest
import torch

from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.bridges import BRIDGES, Bridge
from mt_fairseq.modules.aggregation.last_layer import LastLayer, LayerGate

WIDTH, HEADS, EPS = 8, 2, 1e-5


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("letter", BRIDGES)
def test_bridge(letter: str, level: int) -> None:
    torch.manual_seed(0)
    bridge = Bridge(letter, WIDTH, HEADS, level, EPS)
    experts = [torch.randn(2, 5, WIDTH) for _ in range(2)]
    previous = [torch.randn(2, 5, WIDTH)] * level
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    joined, weights = bridge(AggregationInput(experts, mask, previous, None, None))
    assert joined.shape == (2, 5, WIDTH) and weights is None
    (joined * torch.randn_like(joined)).sum().backward()
    for name, parameter in bridge.named_parameters():
        gradient = parameter.grad
        assert gradient is not None and torch.isfinite(gradient).all(), name
        if not name.startswith(("join.attention.key", "norm.bias")):  # a key's bias does nothing
            assert gradient.abs().sum() > 0, name
    changed = [expert.clone() for expert in experts]
    for expert in changed:
        expert[1, 3:] = 9.0
    again, _ = bridge(AggregationInput(changed, mask, previous, None, None))
    assert torch.allclose(again[mask], joined[mask], atol=1e-6)


@torch.no_grad()
def test_weights_of_the_layer_gate_sum_to_one() -> None:
    """Equal layers come out twice: the last, and a mixture of equal ones."""
    gate = LayerGate(WIDTH)
    layer = torch.randn(2, 5, WIDTH)
    assert torch.allclose(gate([layer] * 4), 2 * layer, atol=1e-6)
    layers = [torch.ones(2, 5, WIDTH), 3 * torch.ones(2, 5, WIDTH), torch.zeros(2, 5, WIDTH)]
    mixture = gate(layers)
    assert ((mixture > 1) & (mixture < 3)).all()


def test_last_layer_passes_states_on() -> None:
    experts, previous = [torch.randn(1, 2, WIDTH)], [torch.randn(1, 2, WIDTH)]
    aggregate = LastLayer()
    assert aggregate(AggregationInput(experts, None, [], None, None))[0] is experts[0]
    assert aggregate(AggregationInput(experts, None, previous, None, None))[0] is previous[0]
