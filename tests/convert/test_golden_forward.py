"""Every stage of the forward pass against the reference's tensors."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from mt_fairseq.models.two_tower.model import TwoTowerModel
from tests.convert.golden import BOUND, Golden, difference


@pytest.fixture
def model(golden: Golden) -> TwoTowerModel:
    return golden.model()


@torch.no_grad()
def test_text_encoder(golden: Golden, model: TwoTowerModel) -> None:
    encoder, tokens = model.network.text_encoder, golden.inputs["text_ids"]
    assert difference(encoder.embeddings(tokens), golden.outputs["text.embeddings"]) < BOUND
    layers, mask = encoder(tokens, golden.config["text_layers"])
    for number, layer in enumerate(layers):
        assert difference(layer, golden.outputs[f"text.layer.{number}"]) < BOUND
    assert torch.equal(mask, golden.inputs["text_masks"].bool())


@torch.no_grad()
def test_vision_encoder(golden: Golden, model: TwoTowerModel) -> None:
    encoder, images = model.network.vision_encoder, golden.inputs["image"]
    assert difference(encoder.embed(images), golden.outputs["vision.pre"]) < BOUND
    raw: list[Tensor] = []
    for block in encoder.blocks:
        block.register_forward_hook(lambda *call: raw.append(call[-1]))
    layers = encoder(images, golden.config["vision_layers"])
    for number, layer in enumerate(layers):
        assert difference(raw[number], golden.outputs[f"vision.layer.{number}"]) < BOUND
        post = golden.outputs.get(f"vision.post.{number}")
        assert post is None or difference(layer, post) < BOUND


@torch.no_grad()
def test_experts(golden: Golden, model: TwoTowerModel) -> None:
    network = model.network
    texts, _ = network.text_encoder(golden.inputs["text_ids"], network.num_text_layers)
    images = network.vision_encoder(golden.inputs["image"], network.num_image_layers)
    for which, part, layers in (
        ("text", network.text_input, texts),
        ("image", network.image_input, images),
    ):
        layers = layers if part.gate is None else [part.gate(layers)]
        projected = torch.stack([part.projection(layer) for layer in layers], dim=1)
        reference = golden.outputs[f"{which}.projected"]
        assert difference(projected.reshape(reference.shape), reference) < BOUND
    if golden.config["model_type"] == "MT":
        text = model.encode_text(golden.inputs["text_ids"])
        image = model.encode_images(golden.inputs["image"])
        for which, experts in (("text", text.experts), ("image", image.experts)):
            reference = golden.outputs[f"{which}.managed_inputs"]
            assert difference(torch.stack(experts, dim=1), reference) < BOUND


@torch.no_grad()
def test_cross_modal_layers(golden: Golden, model: TwoTowerModel) -> None:
    result = model(golden.inputs["text_ids"], golden.inputs["image"], return_all=True)
    assert len(result.layers) == golden.config["num_layers"]
    compared = 0
    for level, layer in enumerate(result.layers):
        for which in ("text", "image"):
            stages = {
                "manager": getattr(layer, f"managed_{which}"),
                "link": getattr(layer, f"managed_{which}"),
                "weights": getattr(layer, f"{which}_weights"),
                "out": getattr(layer, which),
            }
            for stage, value in stages.items():
                reference = golden.outputs.get(f"cross.{level}.{which}.{stage}")
                if reference is not None:
                    assert difference(value, reference) < BOUND
                    compared += 1
    assert compared >= 2 * len(result.layers)
    assert difference(result.text, golden.outputs["text_feats"]) < BOUND
    assert difference(result.image, golden.outputs["image_feats"]) < BOUND
    assert difference(result.pooled, golden.outputs["cls_feats"]) < BOUND


@torch.no_grad()
def test_fused_query(golden: Golden, model: TwoTowerModel) -> None:
    if golden.name != "mt_aaue":
        pytest.skip("static managers have no query")
    compared = []
    encoder = model.network.cross_modal

    def compare(manager: Any, given: tuple[Any, ...], key: str) -> None:
        previous = manager.normed_previous(given[0])
        query, logits = manager.query(previous, given[0]), manager.scores(previous, given[0])
        assert difference(query, golden.outputs[f"{key}.fused_query"]) < BOUND
        assert difference(logits.mT, golden.outputs[f"{key}.logits"]) < BOUND
        compared.append(key)

    for which in ("text", "image"):
        managers = getattr(encoder, f"{which}_aggregations")
        for level in range(1, golden.config["num_layers"]):
            managers[level].register_forward_pre_hook(
                partial(compare, key=f"cross.{level}.{which}")
            )
    model(golden.inputs["text_ids"], golden.inputs["image"])
    assert len(compared) == 2 * (golden.config["num_layers"] - 1)


@torch.no_grad()
def test_weight_of_previous(golden: Golden, model: TwoTowerModel) -> None:
    if golden.config["model_type"] != "MT":
        pytest.skip("no managers")
    for which in ("text", "image"):
        managers = getattr(model.network.cross_modal, f"{which}_aggregations")
        for level in range(1, golden.config["num_layers"]):
            reference = golden.outputs[f"cross.{level}.{which}.weight_of_previous"]
            assert torch.equal(managers[level].previous_weight[None], reference)


@torch.no_grad()
def test_training_noise(golden: Golden, model: TwoTowerModel) -> None:
    if golden.config["model_type"] != "MT":
        pytest.skip("no managers")
    recorded = golden.tensors("train_noise.safetensors")
    order: list[str] = []
    for which in ("text", "image"):
        for level, manager in enumerate(
            getattr(model.network.cross_modal, f"{which}_aggregations")
        ):
            key = f"cross.{level}.{which}.noise"

            def noise(shape: tuple[int, ...], _: Tensor, key: str = key) -> Tensor:
                assert tuple(recorded[key].shape) == shape
                order.append(key)
                return recorded[key].clone()  # weights take its place

            manager.draw_noise = noise
            manager.train()
    result = model(golden.inputs["text_ids"][1:2], golden.inputs["image"][1:2])
    assert order[:4] == [
        f"cross.{level}.{which}.noise" for level in (0, 1) for which in ("text", "image")
    ]
    assert difference(result.text, recorded["text_feats"]) < BOUND
    assert difference(result.image, recorded["image_feats"]) < BOUND
    assert difference(result.pooled, recorded["cls_feats"]) < BOUND


@torch.no_grad()
def test_padding_of_the_reference(golden: Golden, model: TwoTowerModel) -> None:
    """Trimmed and padded, the converted model gives what the reference gave for each."""
    lengths = golden.inputs["text_masks"].sum(1)
    shortest = int(lengths.argmin())
    tokens = golden.inputs["text_ids"][shortest : shortest + 1]
    image = golden.inputs["image"][shortest : shortest + 1]
    for key, constant in (("untrimmed", golden.config["max_text_len"]), ("trimmed", 0)):
        model.cfg.text_length = constant
        result = model(tokens[:, : int(lengths[shortest])], image)
        assert difference(result.text, golden.outputs[f"{key}.text_feats"]) < BOUND
        assert difference(result.image, golden.outputs[f"{key}.image_feats"]) < BOUND
        assert difference(result.pooled, golden.outputs[f"{key}.cls_feats"]) < BOUND
