"""Every backbone that the papers switch between, with its own patch size and special ids."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mt_fairseq.models.presets import PRESETS
from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.models.stand_in import BRIDGE, StandInDictionary, StandInTask, batch, build_small

VISION = [name for name in PRESETS if "patch_size" in PRESETS[name]]
TEXT = [name for name in PRESETS if name not in VISION]
PAIRS = [(name, "roberta-base") for name in VISION] + [(VISION[0], name) for name in TEXT[1:]]
every_pair = pytest.mark.parametrize(("vision", "text"), PAIRS)


def build(vision: str, text: str) -> tuple[TwoTowerModel, Tensor, Tensor, int]:
    """A small model of these kinds for images of 2x3 patches, a batch, and the padding id."""
    patch, pad = PRESETS[vision]["patch_size"], PRESETS[text]["pad_token_id"]
    size = (2 * patch, 3 * patch)
    task = StandInTask(image_size=size)
    task.source_dictionary = StandInDictionary(pad=pad)
    model = build_small(task, vision_encoder=vision, text_encoder=text, patch_size=0)
    tokens, images = batch(image_size=size)
    if pad == 0:  # BERT: 0 is padding, and none of its special ids is 1
        tokens = torch.where(tokens == 1, 0, torch.where(tokens == 0, 3, tokens))
    return model, tokens, images, pad


@every_pair
def test_shapes_and_gradients(vision: str, text: str) -> None:
    model, tokens, images, _ = build(vision, text)
    result = model.train()(tokens, images, return_all=True)
    assert result.text.shape == (4, 9, 20)
    assert result.image.shape == (4, 7, 20) == (4, model.image_positions, 20)
    result.pooled.square().sum().backward()
    for name, parameter in model.network.named_parameters():
        reached = parameter.grad is not None and parameter.grad.abs().sum() > 0
        assert reached, name


@every_pair
@torch.no_grad()
def test_padding_changes_nothing(vision: str, text: str) -> None:
    model, tokens, images, pad = build(vision, text)
    model.eval()
    short, long = model(tokens, images), model(F.pad(tokens, (0, 5), value=pad), images)
    assert torch.allclose(short.image, long.image, atol=1e-5)
    assert torch.allclose(short.pooled, long.pooled, atol=1e-5)
    alone = model(tokens[3:, :6], images[3:])
    assert torch.allclose(alone.pooled, short.pooled[3:], atol=1e-5)
    other = tokens.clone()
    other[0, 1] = 7 if tokens[0, 1] != 7 else 8
    assert not torch.allclose(model(other, images).pooled[0], short.pooled[0], atol=1e-4)


@every_pair
def test_the_preset_says_what_the_encoder_is(vision: str, text: str) -> None:
    network = build(vision, text)[0].network
    assert network.vision_encoder.patches.kernel_size[0] == PRESETS[vision]["patch_size"]
    clip = "clip" in vision
    assert (network.vision_encoder.patches.bias is None) == clip
    assert network.vision_encoder.decays_norms == clip
    mean = PRESETS[vision].get("image_mean", [0.48145466])[0]
    assert network.vision_encoder.mean.flatten()[0].item() == pytest.approx(255 * mean)
    assert network.text_encoder.pad == PRESETS[text]["pad_token_id"]


def test_any_backbone_for_a_bridge_too() -> None:
    model = build_small(**BRIDGE, vision_encoder="google/vit-base-patch16-384")
    assert model(*batch()).pooled.shape == (4, 40)
