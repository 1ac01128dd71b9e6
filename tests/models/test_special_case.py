"""BridgeTower as a special case of ManagerTower with SAUE managers (ManagerTower section 4.5).

The paper calls it *approximate*: replace each manager's weights by layer-by-layer one-hot ones, the
lowest expert at the first level. Here: where that is exact, and what differs where it is not.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.modules.outputs import LayerOutput
from tests.models.stand_in import BRIDGE, batch, build_small

LEVELS = 3
ONE_HOT = 1e4  # a score so far above the others that the softmax is one-hot in float32
CLOSE = {"atol": 1e-5, "rtol": 1e-5}


@torch.no_grad()
def bridge_and_manager() -> tuple[TwoTowerModel, TwoTowerModel]:
    """A BridgeTower, and the ManagerTower that is nearest to it: the same weights everywhere else,
    one-hot managers with the bridges' norms, no layer embeddings."""
    bridge = build_small(**BRIDGE).eval()
    manager = build_small(manager_type="saue", num_managed_layers=LEVELS).eval()
    own = {name: t for name, t in bridge.state_dict().items() if "_aggregations." not in name}
    left = manager.load_state_dict({**manager.state_dict(), **own})
    assert not left.missing_keys and not left.unexpected_keys
    for side in ("text", "image"):
        getattr(manager.network, f"{side}_input").layer_embeddings.weight.zero_()
        bridges = getattr(bridge.network.cross_modal, f"{side}_aggregations")
        managers = getattr(manager.network.cross_modal, f"{side}_aggregations")
        for level, (one, other) in enumerate(zip(bridges, managers, strict=True)):
            other.temperature.fill_(1.0)
            other.scores.zero_()
            other.scores[level] = ONE_HOT
            other.expert_norm_weight[level] = one.norm.weight
            other.expert_norm_bias[level] = one.norm.bias
            if level:
                other.previous_weight.fill_(1.0)
                other.previous_norm.load_state_dict(one.norm.state_dict())
    return bridge, manager


@torch.no_grad()
def layers_of(model: TwoTowerModel) -> tuple[list[LayerOutput], list[Tensor], list[Tensor]]:
    """Every cross-modal layer, and the experts of both modalities."""
    tokens, images = batch()
    text, image = model.encode_text(tokens), model.encode_images(images)
    return model.fuse(text, image, return_all=True).layers, text.experts, image.experts


def test_the_first_level_is_exact() -> None:
    bridge, manager = bridge_and_manager()
    (ours, *_), *_ = layers_of(bridge)
    (theirs, *_), *_ = layers_of(manager)
    assert torch.equal(theirs.text_weights.argmax(0), torch.zeros(20, dtype=torch.long))
    assert torch.equal(theirs.text_weights[0], torch.ones(20))
    for name in ("managed_text", "managed_image", "text", "image"):
        assert torch.allclose(getattr(ours, name), getattr(theirs, name), **CLOSE), name


def test_layer_embeddings_are_a_difference_of_their_own() -> None:
    bridge, manager = bridge_and_manager()
    with torch.no_grad():
        manager.network.text_input.layer_embeddings.weight.normal_()
    (ours, *_), *_ = layers_of(bridge)
    (theirs, *_), *_ = layers_of(manager)
    assert (ours.managed_text - theirs.managed_text).abs().max() > 0.1
    assert torch.allclose(ours.managed_image, theirs.managed_image, **CLOSE)


def test_after_it_the_manager_norms_each_part_and_the_bridge_their_sum() -> None:
    """SAUE: LN(previous) + LN(expert), and no norm after; bridge: LN(previous + expert)."""
    bridge, manager = bridge_and_manager()
    ours, text, image = layers_of(bridge)
    theirs, *_ = layers_of(manager)
    for side, experts in (("text", text), ("image", image)):
        for level in range(1, LEVELS):
            norm = getattr(bridge.network.cross_modal, f"{side}_aggregations")[level].norm
            expert = experts[level]
            before = getattr(ours[level - 1], side)
            expected = norm(before + expert)
            assert torch.allclose(getattr(ours[level], f"managed_{side}"), expected, **CLOSE)
            before = getattr(theirs[level - 1], side)
            expected = norm(before) + norm(expert)
            managed = getattr(theirs[level], f"managed_{side}")
            assert torch.allclose(managed, expected, **CLOSE)
            assert (managed - getattr(ours[level], f"managed_{side}")).abs().max() > 0.1


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_normed_parts_of_equal_size_differ_by_the_size_of_the_sum_alone(scale: float) -> None:
    """If both parts are normed already, the norm of the manager's sum is the bridge's output.

    What is left is the scale (the root of 2 for uncorrelated parts). A part of another scale weighs
    accordingly in the bridge; in the manager it weighs as much as the other.
    """
    torch.manual_seed(0)
    width = 512
    x, y = (F.layer_norm(torch.randn(4, 9, width), (width,)) for _ in range(2))
    bridge = F.layer_norm(x + scale * y, (width,))
    manager = F.layer_norm(x, (width,)) + F.layer_norm(scale * y, (width,))
    same = torch.allclose(F.layer_norm(manager, (width,)), bridge, atol=1e-4)
    assert same == (scale == 1.0)
    ratio = (manager.std(-1) / bridge.std(-1)).mean()
    assert ratio == pytest.approx(2**0.5, rel=0.02)
