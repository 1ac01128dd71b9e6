"""Encoders from local folders, from stored configurations, and out of reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.managertower import ManagerTowerBase, ManagerTowerConfig
from mt_fairseq.modules.hf import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    RobertaConfig,
    RobertaModel,
    ViTConfig,
    ViTModel,
)
from mt_fairseq.modules.positions import resize_positions
from tests.models.stand_in import (
    SMALL,
    VOCABULARY,
    StandInDictionary,
    StandInTask,
    batch,
    small_config,
)

SIZES = {"num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": 16}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Real local checkpoints as transformers writes them."""
    torch.manual_seed(5)
    root = tmp_path_factory.mktemp("encoders")
    text = RobertaConfig(
        vocab_size=VOCABULARY, intermediate_size=32, max_position_embeddings=18, **SIZES
    )
    vision = CLIPVisionConfig(image_size=16, patch_size=8, intermediate_size=32, **SIZES)
    RobertaModel(text).save_pretrained(root / "text")
    CLIPVisionModel(vision).save_pretrained(root / "vision")
    return {"text": root / "text", "vision": root / "vision"}


def config(folders: dict[str, Path], **options: object) -> object:
    sizes = {name: 0 for name in SMALL if name.startswith(("vision", "text", "patch"))}
    return small_config(
        ManagerTowerConfig,
        **sizes,
        vision_encoder=str(folders["vision"]),
        text_encoder=str(folders["text"]),
        **options,
    )


def test_weights_of_local_folders(folders: dict[str, Path]) -> None:
    cfg = config(folders)
    model = ManagerTowerBase.build_model(cfg, StandInTask()).eval()
    text = RobertaModel.from_pretrained(folders["text"]).eval()
    vision = CLIPVisionModel.from_pretrained(folders["vision"]).eval()
    tokens, images = batch()
    with torch.no_grad():
        layers, _ = model.network.text_encoder(tokens, 3)
        expected = text(tokens, attention_mask=tokens.ne(1).long(), output_hidden_states=True)
        real = tokens.ne(1)
        for ours, theirs in zip(layers, expected.hidden_states[1:], strict=True):
            assert torch.allclose(ours[real], theirs[real], atol=1e-5)
        square = images[:, 0, :, :, :16]
        table = vision.embeddings.position_embedding.weight
        positions = model.network.vision_encoder.positions
        assert torch.allclose(positions, resize_positions(table, (2, 3)))
        same = ManagerTowerBase.build_model(config(folders), StandInTask(image_size=(16, 16)))
        same.eval()
        normalised = torch.randn(square.shape)
        layers = same.network.vision_encoder(normalised, 3)
        theirs = vision(normalised, output_hidden_states=True).hidden_states[-1]
        assert torch.allclose(layers[-1], vision.post_layernorm(theirs), atol=1e-5)


def test_folders_of_whole_models(folders: dict[str, Path], tmp_path: Path) -> None:
    """A whole CLIP and a masked language model, as the hub has them, serve as well."""
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "hidden_size": 16}
    clip = CLIPModel(
        CLIPConfig(
            text_config={**sizes, "vocab_size": 50, "bos_token_id": 0, "eos_token_id": 2},
            vision_config={**SIZES, "image_size": 16, "patch_size": 8, "intermediate_size": 32},
        )
    )
    clip.save_pretrained(tmp_path)
    cfg = config({"text": folders["text"], "vision": tmp_path})
    vision = ManagerTowerBase.build_model(cfg, StandInTask()).network.vision_encoder
    saved = clip.vision_model.state_dict()
    for name, ours in vision.blocks[2].state_dict().items():
        assert torch.equal(ours, saved[f"encoder.layers.2.{name}"])
    assert torch.equal(vision.final_norm.weight, saved["post_layernorm.weight"])


def test_a_stored_configuration_needs_no_folder(folders: dict[str, Path]) -> None:
    cfg = config(folders)
    saved = ManagerTowerBase.build_model(cfg, StandInTask())
    assert json.loads(cfg.vision_config)["hidden_size"] == 16
    again = cfg.copy()
    again.vision_encoder = again.text_encoder = "/nowhere/at/all"
    model = ManagerTowerBase.build_model(again, StandInTask())
    model.load_state_dict(saved.state_dict())
    assert not (model.load_report.new or model.load_report.resized)


def test_a_task_that_restores_a_checkpoint_reads_no_weights(folders: dict[str, Path]) -> None:
    for path in folders.values():
        weights = path / "model.safetensors"
        weights.rename(path / "away")
    try:
        ManagerTowerBase.build_model(config(folders), StandInTask(restores_checkpoint=True))
        with pytest.raises(UserError, match="-encoder"):
            ManagerTowerBase.build_model(config(folders), StandInTask())
    finally:
        for path in folders.values():
            (path / "away").rename(path / "model.safetensors")


@pytest.mark.parametrize("which", ["vision", "text"])
def test_an_encoder_out_of_reach(
    folders: dict[str, Path], which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=f"--{which}-encoder /no/such/folder") as raised:
        cfg = config(folders)
        cfg[f"{which}_encoder"] = "/no/such/folder"
        ManagerTowerBase.build_model(cfg, StandInTask())
    assert "\n" not in str(raised.value)
    assert "--encoder-weights random" in str(raised.value)


def test_the_wrong_kind_of_encoder(folders: dict[str, Path]) -> None:
    cfg = config({"text": folders["vision"], "vision": folders["vision"]})
    with pytest.raises(UserError, match=r"--text-encoder .* is a clip_vision_model"):
        ManagerTowerBase.build_model(cfg, StandInTask())


def test_a_vocabulary_that_does_not_fit(folders: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"70 entries.*--tokenizer"):
        ManagerTowerBase.build_model(config(folders), StandInTask(vocabulary=70))


def test_vit_and_bert_folders(tmp_path: Path) -> None:
    """Their weights, pixel values and special ids; layers as transformers computes them."""
    torch.manual_seed(6)
    vit = ViTModel(ViTConfig(image_size=16, patch_size=8, intermediate_size=32, **SIZES)).eval()
    bert = BertModel(
        BertConfig(vocab_size=VOCABULARY, intermediate_size=32, max_position_embeddings=20, **SIZES)
    ).eval()
    vit.save_pretrained(tmp_path / "vit")
    bert.save_pretrained(tmp_path / "bert")
    pixels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}
    (tmp_path / "vit" / "preprocessor_config.json").write_text(json.dumps(pixels))
    cfg = config({"vision": tmp_path / "vit", "text": tmp_path / "bert"})
    task = StandInTask(image_size=(16, 16))
    task.source_dictionary = StandInDictionary(pad=0)
    network = ManagerTowerBase.build_model(cfg, task).eval().network
    tokens, images = batch(image_size=(16, 16))
    tokens = tokens.masked_fill(tokens == 0, 3).masked_fill(tokens == 1, 0)
    mean = torch.tensor(pixels["image_mean"])[:, None, None]
    normalised = (images[:, 0].float() / 255 - mean) / torch.tensor(pixels["image_std"])[
        :, None, None
    ]
    with torch.no_grad():
        ours = network.vision_encoder(images[:, 0], 3)
        theirs = vit(normalised, output_hidden_states=True)
        for own, raw in zip(ours, theirs.hidden_states[1:], strict=True):
            expected = vit.layernorm(raw)
            assert torch.allclose(own, expected, atol=1e-5)
        layers, mask = network.text_encoder(tokens, 3)
        expected = bert(tokens, attention_mask=mask.long()).last_hidden_state
        assert torch.allclose(layers[-1][mask], expected[mask], atol=1e-5)
    norms = [p for n, p in network.vision_encoder.named_parameters() if "norm" in n]
    assert all(p.param_group == "base.no_decay" for p in norms)


def test_a_dictionary_that_pads_otherwise(folders: dict[str, Path]) -> None:
    task = StandInTask()
    task.source_dictionary = StandInDictionary(pad=0)
    with pytest.raises(UserError, match="pads with id 0"):
        ManagerTowerBase.build_model(config(folders), task)
