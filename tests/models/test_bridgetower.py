"""BridgeTower's ablations: parameters of each definition, internal and external layers."""

from __future__ import annotations

import pytest
import torch

from mt_fairseq.errors import UserError
from mt_fairseq.modules.aggregation.base import AggregationInput
from mt_fairseq.modules.aggregation.bridges import BRIDGES, Bridge
from mt_fairseq.modules.heads import init_weights
from tests.models.stand_in import BRIDGE, METER, batch, build_small

# BridgeTower, design I: parameters of the bridges at width 768, six levels, both modalities.
TABLE = {
    "a": "18.4K", "b": "18.4K", "c": "26.0K", "d": "11.8M", "e": "11.8M",
    "f": "35.4M", "g": "23.6M", "h": "70.8M", "i": "11.8M",
}  # fmt: skip


@pytest.mark.parametrize("letter", BRIDGES)
def test_parameters_of_the_paper(letter: str) -> None:
    """As printed, the layer norms counted for (a) to (c) and, like biases, rounded away above."""
    with torch.device("meta"):
        bridges = [Bridge(letter, 768, 12, level, 1e-5) for level in range(6)]
    count = 2 * sum(p.numel() for bridge in bridges for p in bridge.parameters())
    norms = 12 * 2 * 768
    biases = sum(
        2 * p.numel()
        for bridge in bridges
        for name, p in bridge.named_parameters()
        if name.startswith("join") and name.endswith("bias")
    )
    if TABLE[letter].endswith("K"):
        assert abs(count / 1e3 - float(TABLE[letter][:-1])) < 0.15
    else:
        assert f"{(count - norms - biases) / 1e6:.1f}M" == TABLE[letter]


@torch.no_grad()
def test_definitions() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 8), torch.randn(2, 3, 8)

    def joined(letter: str) -> torch.Tensor:
        bridge = Bridge(letter, 8, 2, 1, 1e-5).apply(init_weights)
        bridge.norm = torch.nn.Identity()
        return bridge(AggregationInput([y, y], None, [x], None, None))[0]

    assert torch.equal(joined("a"), x + y)
    assert torch.equal(joined("b"), x * y)
    assert torch.allclose(joined("c"), (x + y) / 2)
    assert torch.equal(joined("i"), x + y)  # its matrix starts at zero


@torch.no_grad()
def test_without_bridges_it_is_meter() -> None:
    bridgeless = build_small(**BRIDGE, num_external_layers=3).eval()
    meter = build_small(**METER).eval()
    meter.load_state_dict(bridgeless.state_dict())
    tokens, images = batch()
    assert torch.equal(bridgeless(tokens, images).pooled, meter(tokens, images).pooled)


def test_layers_that_are_not_there() -> None:
    with pytest.raises(UserError, match="--num-cross-modal-layers"):
        build_small(**BRIDGE, num_cross_modal_layers=4)
    with pytest.raises(UserError, match="--num-external-layers 4"):
        build_small(**BRIDGE, num_external_layers=4)
    build_small(**BRIDGE, num_cross_modal_layers=5, num_external_layers=2)
