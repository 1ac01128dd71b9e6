"""What ALBEF takes from pre-trained encoders, the head for masked words among it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from transformers import BertConfig, BertForMaskedLM, BertModel, ViTConfig, ViTModel

from mt_fairseq.models.albef.config import AlbefConfig
from mt_fairseq.models.albef.model import AlbefBase, AlbefModel
from mt_fairseq.models.named_heads import HeadSpec

WORDS = 40
SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
         "intermediate_size": 32}  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """vit/, a BERT with its head in masked/, and one without in plain/."""
    root = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(3)
    bert = BertConfig(vocab_size=WORDS, max_position_embeddings=20, **SIZES)
    masked = BertForMaskedLM(bert)
    with torch.no_grad():
        masked.cls.predictions.bias.normal_()
        masked.cls.predictions.transform.LayerNorm.weight.normal_()
    masked.save_pretrained(root / "masked")
    BertModel(bert).save_pretrained(root / "plain")
    ViTModel(ViTConfig(image_size=32, patch_size=16, **SIZES)).save_pretrained(root / "vit")
    return root


class Words:
    """What a model asks of a dictionary."""

    def __len__(self) -> int:
        return WORDS

    def pad(self) -> int:
        return 0

    def eos(self) -> int:
        return 3


def build(folders: Path, text: str, **options: Any) -> AlbefModel:
    cfg = OmegaConf.merge(
        OmegaConf.structured(AlbefConfig()),
        {"_name": "albef_base", "vision_encoder": str(folders / "vit"), "fusion_layer": 2,
         "text_encoder": str(folders / text), "distill_alpha": 0, "batch_size": None,
         "world_size": 1, "update_freq": [1], **options},
    )  # fmt: skip
    task = SimpleNamespace(
        source_dictionary=Words(), resolution=(32, 32), head_spec=lambda: {"mlm": HeadSpec(WORDS)}
    )
    model = AlbefBase.build_model(cfg, task)  # type: ignore[arg-type]
    assert isinstance(model, AlbefModel)
    return model


def test_the_head_for_masked_words_is_berts(folders: Path) -> None:
    head: Any = build(folders, "masked").heads["mlm"]
    source = BertForMaskedLM.from_pretrained(folders / "masked").eval()
    states = torch.randn(2, 5, 16)
    words = source.bert.embeddings.word_embeddings.weight
    with torch.no_grad():
        torch.testing.assert_close(head(states, words), source.cls(states))


def test_a_bert_without_the_head(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    head: Any = build(folders, "plain").heads["mlm"]
    assert not head.bias.any()
    assert "plain has no head for masked words" in caplog.text


def test_random_encoders_read_nothing(folders: Path) -> None:
    head: Any = build(folders, "masked", encoder_weights="random").heads["mlm"]
    assert not head.bias.any()
