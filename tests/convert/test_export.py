"""``python -m mt_fairseq.convert export``: a folder that answers as the checkpoint does."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mt_fairseq import BridgeTower, ManagerTower
from mt_fairseq.convert.__main__ import main
from mt_fairseq.convert.processor import processor_settings
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.transforms import build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.modules import hf
from tests import support
from tests.convert.published_file import GOLDEN_HEADS, write_published

QUESTION = "what colour is the square in the picture ?"


def export(checkpoint: Path, out: Path, *args: str) -> int:
    return main(["export", str(checkpoint), "--out", str(out), *args])


@pytest.fixture(scope="module")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, written by the command as a user runs it."""
    out = tmp_path_factory.mktemp("exported") / "vqa"
    done = support.python("-m", "mt_fairseq.convert", "export", trained, "--out", out)
    assert f"written to {out}: README.md, config.json" in done.stdout
    return out


def test_outputs_are_identical(trained: Path, exported: Path, tmp_path: Path) -> None:
    for seed, colour in enumerate(support.COLOURS):
        support.draw_square(tmp_path / f"{colour}.png", colour, seed)
    ours, theirs = ManagerTower.from_pretrained(exported), ManagerTower.from_pretrained(trained)
    pictures = sorted(tmp_path.glob("*.png"))
    assert ours.answer(pictures, QUESTION) == theirs.answer(pictures, QUESTION)
    assert ours.task.state_dict() == theirs.task.state_dict()
    for name, tensor in theirs.model.state_dict().items():
        assert torch.equal(tensor, ours.model.state_dict()[name]), name


def test_files(exported: Path, trained: Path) -> None:
    names = {path.name for path in exported.iterdir()}
    assert names == {
        "README.md", "config.json", "dict.label.txt", "model.safetensors",
        "preprocessor_config.json", "sentencepiece.bpe.model", "special_tokens_map.json",
    }  # fmt: skip
    card = (exported / "README.md").read_text()
    best = torch.load(trained / "checkpoint_best.pt", weights_only=True)["extra_state"]["best"]
    assert "| resolution | 32 x 32 pixels" in card
    assert "| training data | bin |" in card
    assert f"| score to expect | loss {best:.4g} on the validation split" in card
    assert 'ManagerTower.from_pretrained("this folder")' in card
    config = (exported / "config.json").read_text()
    assert str(trained) not in config + card  # no path of the machine
    assert json.loads(config)["model"]["_name"] == "managertower_tiny"


def test_what_the_user_says_goes_on_the_card(trained: Path, tmp_path: Path) -> None:
    args = ("--data", "coloured squares", "--score", "99 of 100")
    assert export(trained, tmp_path / "out", *args) == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| training data | coloured squares |" in card
    assert "| score to expect | 99 of 100 |" in card


def test_a_converted_official_checkpoint(shared_dir: Path, vqa_bin: Path, tmp_path: Path) -> None:
    golden = shared_dir / "golden" / "bt"
    published = write_published(
        tmp_path / "pt.ckpt", golden, "pretraining", len(DataBin(vqa_bin).tokenizer.symbols)
    )
    main(
        ["official", str(published), "--out", str(tmp_path / "pt.pt"), "--tokenizer",
         str(vqa_bin), "--heads", str(GOLDEN_HEADS)]
    )  # fmt: skip
    export(tmp_path / "pt.pt", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "converted from pt.ckpt" in card and "| score to expect | not measured |" in card
    ours = BridgeTower.from_pretrained(tmp_path / "out")
    theirs = BridgeTower.from_pretrained(tmp_path / "pt.pt")
    picture = Image.fromarray(np.full((40, 60, 3), 90, np.uint8))
    assert ours.match(picture, "a red square") == theirs.match(picture, "a red square")
    again = tmp_path / "again.pt"  # its tokenizer serves another conversion
    main(
        ["official", str(published), "--out", str(again), "--tokenizer", str(tmp_path / "out"),
         "--heads", str(GOLDEN_HEADS)]
    )  # fmt: skip
    assert again.is_file()


@pytest.mark.parametrize("kind", ["square", "center_crop"])
def test_settings_are_those_of_the_transform(kind: str) -> None:
    """transformers' image processor, told our settings, gives our pixels."""
    from transformers import CLIPImageProcessorPil

    assert hf  # hides an audio library that cannot be loaded, before transformers looks
    pixels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((280, 200), Image.Resampling.BICUBIC)
    settings = processor_settings(kind, (32, 32), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    theirs = CLIPImageProcessorPil(**settings)(picture, return_tensors="np")["pixel_values"][0]
    ours = build_transform(kind, (32, 32))(picture, np.random.default_rng(0)).numpy() / 255
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.3, 0.4])
    ours = (ours - mean[:, None, None]) / std[:, None, None]
    assert np.abs(ours - theirs).max() < 3 / 255 / 0.2  # three of 255 levels


def test_bad_input(exported: Path, trained: Path, tmp_path: Path) -> None:
    def fails(message: str, call: Any, *args: Any) -> None:
        with pytest.raises(UserError, match=message):
            call(*args)

    fails("holds a model already; add --overwrite", export, trained, exported)
    assert export(trained, exported, "--overwrite") == 0
    modes = {path.stat().st_mode for path in exported.iterdir()}
    assert len(modes) == 1  # whoever may read one file may read all
    fails("no such checkpoint", export, tmp_path / "none.pt", tmp_path / "out")
    (tmp_path / "file").write_text("")
    fails("is a file; name a folder", export, trained, tmp_path / "file")
    fails("is a managertower_tiny, not a BridgeTower", BridgeTower.from_pretrained, exported)


def test_damaged_folders(trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export(trained, folder)
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(UserError, match=r"model\.safetensors: can't be read"):
        ManagerTower.from_pretrained(folder)
    (folder / "model.safetensors").write_bytes(weights)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "version": 9}))
    with pytest.raises(UserError, match="format version 9"):
        ManagerTower.from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(UserError, match="not a model that"):
        ManagerTower.from_pretrained(folder)


def test_full_disk(shared_dir: Path, trained: Path, vqa_bin: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands in for a disk that fills up; nothing half is left."""
    words = len(DataBin(vqa_bin).tokenizer.symbols)
    golden = shared_dir / "golden" / "bt"
    published = write_published(tmp_path / "pt.ckpt", golden, "pretraining", words)
    convert = ["official", published, "--out", tmp_path / "pt.pt", "--tokenizer", vqa_bin]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(UserError, match=r"[Ff]ile too large"):
            export(trained, tmp_path / "out")
        with pytest.raises(UserError, match=r"[Ff]ile too large"):
            main([*map(str, convert), "--heads", str(GOLDEN_HEADS)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "out" / "config.json").exists()
    assert not (tmp_path / "pt.pt").exists()
