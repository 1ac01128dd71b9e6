"""transformers' BridgeTower with random weights: the same outputs, there and back."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mt_fairseq.convert import from_huggingface, to_huggingface
from mt_fairseq.errors import UserError
from mt_fairseq.modules import hf
from tests.models.stand_in import MANAGER, build_small

BOUND = 1e-5


def build(kind: str, **options: Any) -> Any:
    """A small random model with every weight away from its trivial initial value."""
    torch.manual_seed(7)
    config = hf.BridgeTowerConfig(
        **{
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "layer_norm_eps": 1e-6,
            "text_config": {
                "vocab_size": 50, "hidden_size": 64, "num_hidden_layers": 4,
                "num_attention_heads": 4, "intermediate_size": 96,
                "max_position_embeddings": 20, "layer_norm_eps": 1e-4,
            },
            "vision_config": {
                "hidden_size": 128, "num_hidden_layers": 4, "patch_size": 8, "image_size": 24,
                "layer_norm_eps": 1e-3,
            },
            **options,
        }
    )  # fmt: skip
    config.contrastive_hidden_size = 12
    config.logit_scale_init_value = 2.6592
    model = getattr(hf, kind)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


def inputs() -> dict[str, torch.Tensor]:
    tokens = torch.randint(4, 50, (3, 9), generator=torch.Generator().manual_seed(1))
    tokens[:, 0] = 0
    tokens[1, 6:] = 1
    pixels = torch.randn(3, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    return {"input_ids": tokens, "attention_mask": tokens.ne(1).long(), "pixel_values": pixels}


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    assert ours.shape == theirs.shape
    return bool((ours - theirs).abs().max() < BOUND)


@torch.no_grad()
def test_model() -> None:
    theirs, given = build("BridgeTowerModel"), inputs()
    ours = from_huggingface(theirs)
    assert not ours.training
    result = ours(given["input_ids"], given["pixel_values"], return_all=True)
    expected = theirs(**given)
    real = given["input_ids"].ne(1)
    assert close(result.text[real], expected.text_features[real])
    assert close(result.image, expected.image_features)
    assert close(result.pooled, expected.pooler_output)
    back = to_huggingface(ours)(**given)
    assert close(back.pooler_output, expected.pooler_output)
    assert close(back.text_features[real], expected.text_features[real])


@pytest.mark.parametrize(
    ("kind", "head"),
    [("BridgeTowerForMaskedLM", "mlm"), ("BridgeTowerForImageAndTextRetrieval", "itm")],
)
@torch.no_grad()
def test_heads(kind: str, head: str) -> None:
    theirs, given = build(kind), inputs()
    ours = from_huggingface(theirs)
    logits = ours(given["input_ids"], given["pixel_values"], classification_head_name=head).logits
    real = given["input_ids"].ne(1) if head == "mlm" else slice(None)
    expected = theirs(**given).logits
    assert close(logits[real], expected[real])
    back = to_huggingface(ours)
    assert type(back).__name__ == kind
    assert close(back(**given).logits[real], expected[real])


@torch.no_grad()
def test_contrastive() -> None:
    vision = {"hidden_size": 64, "num_hidden_layers": 4, "patch_size": 8, "image_size": 24}
    theirs = build("BridgeTowerForContrastiveLearning", vision_config=vision)
    given = inputs()
    ours = from_huggingface(theirs)
    expected = theirs(**given, return_loss=True)
    text = ours.encode_text(given["input_ids"])
    image = ours.encode_images(given["pixel_values"])
    head = ours.heads["itc"]
    text_features, image_features = ours.contrastive_features(text, image)
    cross = head.cross_features(ours.network.pool(ours.fuse(text, image)))
    assert close(text_features, expected.text_embeds)
    assert close(image_features, expected.image_embeds)
    assert close(cross, expected.cross_embeds)
    assert close(head.clamped_temperature(), torch.exp(-theirs.logit_scale))
    back = to_huggingface(ours)(**given, return_loss=True)
    assert close(back.logits, expected.logits)
    assert back.loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)


def test_what_the_paper_does_not_have() -> None:
    with pytest.raises(UserError, match="link_tower_type='scaled_add'"):
        from_huggingface(build("BridgeTowerModel", link_tower_type="scaled_add"))
    with pytest.raises(UserError, match="the model is a BridgeTower"):
        to_huggingface(build_small(**MANAGER), "")
    with pytest.raises(UserError, match=r"heads mlm, itm: say which"):
        to_huggingface(build_small(**MANAGER))
