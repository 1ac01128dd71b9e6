"""Sizes read off an official state dict equal those of the reference's own configuration."""

from __future__ import annotations

import pytest
import torch

from mt_fairseq.convert import from_official
from mt_fairseq.convert.infer import infer_config, resize_images
from mt_fairseq.errors import UserError
from tests.convert.golden import BOUND, Golden, difference
from tests.convert.published_file import GOLDEN_HEADS

MANAGERS = {
    "manager_type",
    "manager_weight_type",
    "managed_layers_text",
    "managed_layers_image",
}
SCALE = "head_hidden_scale"


def test_sizes(golden: Golden) -> None:
    found = infer_config(golden.weights, heads=GOLDEN_HEADS)
    assert (found.keys() >= MANAGERS) == golden.name.startswith("mt_")
    given = {key: golden.config[key] for key in found}
    if golden.name == "meter":
        assert given[SCALE] == found[SCALE] == 1
    assert found == given


@torch.no_grad()
def test_outputs(golden: Golden) -> None:
    model = from_official(golden.weights, infer_config(golden.weights, heads=GOLDEN_HEADS))
    output = model(golden.inputs["text_ids"], golden.inputs["image"])
    assert difference(output.pooled, golden.outputs["cls_feats"]) < BOUND


def test_heads_by_the_width(golden: Golden) -> None:
    with pytest.raises(UserError, match=r"is (24|32) wide, no multiple of 64: give --heads"):
        infer_config(golden.weights)


def test_text_length(golden: Golden) -> None:
    weights = dict(golden.weights)
    name = "text_transformer.embeddings.position_embeddings.weight"
    weights[name] = torch.zeros(514, weights[name].shape[1])

    def length(**options: object) -> int:
        return infer_config(weights, heads=4, **options)["max_text_len"]  # type: ignore[arg-type]

    assert length() == 50
    assert length(hyper={"max_text_len": 30}) == 30
    assert length(hyper={"max_text_len": 30}, text_length=20) == 20
    with pytest.raises(UserError, match="--text-length 600: the text encoder has 512 positions"):
        length(text_length=600)
    del weights["mlm_score.decoder.weight"]
    assert length() == 40  # retrieval


def test_resolution(golden: Golden) -> None:
    config = infer_config(golden.weights, heads=GOLDEN_HEADS)
    state = resize_images(golden.weights, config, 64)
    model = from_official(state, config)
    assert model.network.vision_encoder.image_size == (64, 64)
    model(golden.inputs["text_ids"], torch.zeros(3, 3, 64, 64))
    with pytest.raises(UserError, match="--image-size 50: no multiple of the model's patch size"):
        resize_images(golden.weights, config, 50)


def test_other_files(golden: Golden) -> None:
    with pytest.raises(UserError, match="no official ManagerTower"):
        infer_config({"encoder.weight": torch.zeros(3)}, heads=4)


def test_leftovers(golden: Golden) -> None:
    config = infer_config(golden.weights, heads=GOLDEN_HEADS)
    state = {**golden.weights, "surprise.weight": torch.zeros(2)}
    with pytest.raises(UserError, match=r"1 tensors have no place .*surprise\.weight"):
        from_official(state, config)
    report = from_official(state, config, allow_leftovers=True).conversion
    assert report.left_over == ["surprise.weight"]
    assert "text_transformer.pooler.dense.weight" in report.unused
    assert report.missing == []
    given = set(report.mapped) | set(report.unused) | set(report.left_over)
    assert given == set(state)
    assert "left over: 1 (surprise.weight)" in str(report)
    del state["cross_modal_text_pooler.dense.bias"]
    with pytest.raises(UserError, match=r"lacks what becomes 1 parameters .*text_pooler"):
        from_official(state, config, allow_leftovers=True)
