"""Behaviour of the network that needs no reference: shapes, padding, gradients, precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn import functional as F

from mt_fairseq.data.batches import masked_words
from mt_fairseq.errors import UserError
from tests.models.stand_in import (
    MANAGERS,
    METER,
    VARIANTS,
    VOCABULARY,
    StandInTask,
    batch,
    build_small,
)

every_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS.keys())
every_manager = pytest.mark.parametrize("options", MANAGERS.values(), ids=MANAGERS.keys())


@every_variant
def test_shapes(options: dict[str, Any]) -> None:
    model = build_small(StandInTask(heads={"vqa": 7}), **options).eval()
    tokens, images = batch()
    result = model(tokens, images, return_all=True, classification_head_name="vqa")
    assert result.text.shape == (4, 9, 20)
    assert result.image.shape == (4, 1 + 2 * 3, 20) == (4, model.image_positions, 20)
    assert result.pooled.shape == (4, 40)
    assert result.logits.shape == (4, 7)
    assert len(result.layers) == model.cfg.num_cross_modal_layers


@every_manager
@torch.no_grad()
def test_weights_sum_to_one_and_start_even(options: dict[str, Any]) -> None:
    """Static weights start at 1/N, SAE's at 1 / (N + l); both sum to one over what they weigh."""
    model = build_small(**options).eval()
    tokens, images = batch()
    for layer in model(tokens, images, return_all=True).layers:
        for weights in (layer.text_weights, layer.image_weights):
            total = weights.sum(0 if weights.dim() == 2 else 1)
            assert torch.allclose(total, torch.ones_like(total), atol=1e-6)
    fresh = type(model).build_model(model.cfg, StandInTask()).eval()
    for level, layer in enumerate(fresh(tokens, images, return_all=True).layers):
        kind = options["manager_type"]
        if level == 0 or kind in ("saue", "sae", "sae-split"):
            count = 2 + level * (kind == "sae")
            for weights in (layer.text_weights, layer.image_weights):
                assert len(weights) == count
                assert torch.allclose(weights, torch.full_like(weights, 1 / count))


@every_manager
@torch.no_grad()
def test_noisy_weights_sum_to_one_too(options: dict[str, Any]) -> None:
    model = build_small(**options).train()
    for layer in model(*batch(), return_all=True).layers:
        for weights in (layer.text_weights, layer.image_weights):
            assert weights.dim() == 4
            assert torch.allclose(weights.sum(1), torch.ones_like(weights[:, 0]), atol=1e-6)


@every_variant
@torch.no_grad()
def test_padding_changes_nothing(options: dict[str, Any]) -> None:
    model = build_small(**options).eval()
    tokens, images = batch()
    longer = F.pad(tokens, (0, 5), value=1)
    short, long = model(tokens, images), model(longer, images)
    for row in range(len(tokens)):
        real = int((tokens[row] != 1).sum())
        assert torch.allclose(short.text[row, :real], long.text[row, :real], atol=1e-5)
    assert torch.allclose(short.image, long.image, atol=1e-5)
    assert torch.allclose(short.pooled, long.pooled, atol=1e-5)
    alone = model(tokens[3:, :6], images[3:])
    assert torch.allclose(alone.pooled, short.pooled[3:], atol=1e-5)


@torch.no_grad()
def test_the_reference_behaviour_does_depend_on_padding() -> None:
    model = build_small(manager_type="aaue", unmasked_fused_query=True).eval()
    tokens, images = batch()
    short, long = model(tokens, images), model(F.pad(tokens, (0, 5), value=1), images)
    assert (short.image - long.image).abs().max() > 1e-4
    constant = build_small(manager_type="aaue", unmasked_fused_query=True, text_length=14).eval()
    assert torch.equal(constant(tokens, images).image, long.image)


@every_variant
def test_gradients_reach_every_parameter(options: dict[str, Any]) -> None:
    model = build_small(**options).train()
    tokens, images = batch()
    positions = torch.zeros_like(tokens, dtype=torch.bool)
    positions[:, 1] = True
    result = model(
        tokens,
        images,
        step="pretraining",
        masked_tokens=tokens,
        masked_words=masked_words(tokens, positions),
        image_index=torch.tensor([1, 0, 2, 3]),
    )
    assert result.mlm_logits.shape == (4, VOCABULARY)
    assert result.itm.logits.shape == (4, 2)
    (result.mlm_logits.square().sum() + result.itm.logits.square().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_noise_is_drawn_in_training_alone() -> None:
    model = build_small(dropout=0.0, attention_dropout=0.0, encoder_dropout=0.0)
    tokens, images = batch()
    model.eval()
    quiet = model(tokens, images).pooled
    assert torch.equal(model(tokens, images).pooled, quiet)
    model.train()
    noisy = model(tokens, images, return_all=True)
    assert not torch.allclose(noisy.pooled, quiet)
    assert noisy.layers[0].text_weights.shape == (4, 2, 9, 20)
    silent = build_small(
        dropout=0.0, attention_dropout=0.0, encoder_dropout=0.0, manager_noise=0.0
    ).train()
    assert torch.equal(silent(tokens, images).pooled, quiet)


@every_variant
def test_what_no_head_reads_is_left_out(options: dict[str, Any]) -> None:
    """Of the last layer position 0, or the text for mlm; logits and gradients stay the same."""
    heads = {"vqa": 7, "snli_ve": 3, "nlvr2": 2, "itm": 2, "mlm": VOCABULARY}
    model = build_small(StandInTask(heads=heads), **options).eval()
    tokens, images = batch()
    for name in heads:
        given = torch.cat([images, images.flip(0)], dim=1) if name == "nlvr2" else images
        whole = model(tokens, given, return_all=True, classification_head_name=name)
        found = model(tokens, given, classification_head_name=name)
        assert torch.allclose(found.logits, whole.logits, atol=1e-5)
        if name == "mlm":
            assert found.image is found.pooled is None
            continue
        assert found.text.shape == found.image.shape == (4, 1, 20)
        assert torch.allclose(found.text, whole.text[:, :1], atol=1e-5)
    parameters = [*model.network.cross_modal.parameters(), *model.heads["itm"].parameters()]
    gradients = []
    for return_all in (True, False):
        output = model(tokens, images, return_all=return_all, classification_head_name="itm")
        loss = output.logits.square().sum()
        gradients.append(torch.autograd.grad(loss, parameters, materialize_grads=True))
    for whole, spare in zip(*gradients, strict=True):
        assert torch.allclose(whole, spare, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_a_pair_of_images() -> None:
    model = build_small(StandInTask(heads={"nlvr2": 2})).eval()
    tokens, images = batch()
    pair = torch.cat([images, images.flip(0)], dim=1)
    result = model(tokens, pair, classification_head_name="nlvr2")
    assert result.pooled.shape == (4, 80)
    assert result.logits.shape == (4, 2)
    single = model(tokens, images)
    assert torch.allclose(result.pooled[:, :40], single.pooled, atol=1e-6)
    types = model.network.token_types.weight
    assert types.shape == (3, 20)


@torch.no_grad()
def test_floats_are_taken_as_normalised() -> None:
    model = build_small().eval()
    tokens, images = batch()
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    normalised = (images.float() / 255 - mean) / std
    a, b = model(tokens, images), model(tokens, normalised[:, 0])
    assert torch.allclose(a.pooled, b.pooled, atol=1e-5)


def test_bfloat16_trains() -> None:
    model = build_small().train().bfloat16()
    tokens, images = batch()
    positions = tokens == 2
    result = model(
        tokens,
        images,
        step="pretraining",
        masked_tokens=tokens,
        masked_words=masked_words(tokens, positions),
        image_index=torch.arange(4),
    )
    loss = result.mlm_logits.float().logsumexp(-1).mean() + result.itm.logits.float().sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_pixel_constants_stay_exact_in_half_precision() -> None:
    encoder = build_small().network.vision_encoder
    mean, std = encoder.mean.clone(), encoder.std.clone()
    encoder.half().bfloat16()
    assert encoder.mean.dtype == torch.float32
    assert torch.equal(encoder.mean, mean)
    assert torch.equal(encoder.std, std)
    assert encoder.positions.dtype == torch.bfloat16


@torch.no_grad()
def test_selected_states_are_fused_as_a_batch_would_be() -> None:
    model = build_small().eval()
    tokens, images = batch()
    text, image = model.encode_text(tokens), model.encode_images(images)
    order = torch.tensor([2, 0, 1, 3])
    fused = model.fuse(text, image.select(order))
    assert torch.allclose(fused.text, model(tokens, images[order]).text, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "task", "words"),
    [
        ({"num_managed_layers": 4}, {}, "4 managed layers"),
        ({"num_managed_layers": 0}, {}, "--num-managed-layers"),
        ({"hidden_size": 21}, {}, "--hidden-size 21"),
        ({"num_managed_image_layers": 4}, {}, "vision encoder has 3 layers"),
        ({"num_managed_text_layers": -1}, {}, "--num-managed-text-layers"),
        ({"manager_noise": -0.5}, {}, "--manager-noise"),
        ({"cross_modal_heads": 0}, {}, "--cross-modal-heads"),
        ({"num_cross_modal_layers": 0}, {}, "--num-cross-modal-layers"),
        ({"dropout": 1.5}, {}, "--dropout"),
        ({"text_length": 17}, {}, "--text-length 17.* texts of 16"),
        ({**METER, "layer_fusion": True, "text_layers": 1}, {}, "--layer-fusion"),
        ({"vision_width": 15}, {}, "--vision-width 15"),
        ({}, {"image_size": (16, 20)}, "--image-size 16x20"),
        ({"encoder_weights": "pretrained"}, {}, "--encoder-weights random"),
        ({}, {"heads": {"box": 4}}, "unknown kind of head 'box'"),
    ],
)
def test_options_that_do_not_fit(options: dict, task: dict, words: str) -> None:
    with pytest.raises(UserError, match=words) as raised:
        build_small(StandInTask(**task), **options)
    assert "\n" not in str(raised.value)


def test_inputs_that_do_not_fit() -> None:
    model = build_small()
    tokens, images = batch()
    with pytest.raises(UserError, match="--max-text-len"):
        model(F.pad(tokens, (0, 20), value=5), images)
    with pytest.raises(UserError, match="--image-size"):
        model(tokens, images[..., :16])
    with pytest.raises(UserError, match="no head 'vqa'"):
        model(tokens, images, classification_head_name="vqa")
