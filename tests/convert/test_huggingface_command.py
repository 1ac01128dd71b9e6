"""``python -m mt_fairseq.convert huggingface`` with local folders, both ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from mt_fairseq import BridgeTower
from mt_fairseq.convert.__main__ import main
from mt_fairseq.errors import UserError
from mt_fairseq.modules import hf
from tests import support
from tests.convert.test_huggingface import BOUND, build


@pytest.fixture(scope="module")
def folder(roberta_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformers folder: a small random model with image-text matching and its tokenizer."""
    out = tmp_path_factory.mktemp("theirs") / "bridgetower"
    shutil.copytree(roberta_folder, out)
    text = {
        "vocab_size": len(AutoTokenizer.from_pretrained(roberta_folder)), "hidden_size": 64,
        "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 96,
        "max_position_embeddings": 20, "layer_norm_eps": 1e-5,
    }  # fmt: skip
    build("BridgeTowerForImageAndTextRetrieval", text_config=text).save_pretrained(out)
    return out


def test_there_and_back(folder: Path, tmp_path: Path) -> None:
    """As a user runs it: folder -> checkpoint -> folder; logits agree at both ends."""
    checkpoint, back = tmp_path / "model.pt", tmp_path / "back"
    done = support.python(
        "-m", "mt_fairseq.convert", "huggingface", folder, "--out", checkpoint,
        "--text-length", 12,
    )  # fmt: skip
    assert "left over: none" in done.stdout and "task vlp_mlm_itm" in done.stdout
    hub = BridgeTower.from_pretrained(checkpoint)
    assert hub.heads == ["itm"]  # a head that the folder lacks would answer at random
    tokens = hub.encode("A red square stands left")[None]
    images = torch.randn(1, 3, 24, 24)
    assert main(["huggingface", str(checkpoint), "--to", str(back)]) == 0
    with torch.no_grad():
        ours = hub.model(tokens, images, classification_head_name="itm").logits
        for source in (folder, back):
            theirs = hf.BridgeTowerForImageAndTextRetrieval.from_pretrained(source).eval()
            mask = torch.ones_like(tokens)
            logits = theirs(input_ids=tokens, attention_mask=mask, pixel_values=images).logits
            assert (ours - logits).abs().max() < BOUND
    tokenizer = AutoTokenizer.from_pretrained(back)
    assert tokenizer("A red square stands left")["input_ids"][-2:] == tokens[0, -3:-1].tolist()
    assert (back / "preprocessor_config.json").is_file()
    with pytest.raises(UserError, match="holds a model already"):
        main(["huggingface", str(checkpoint), "--to", str(back)])
    with pytest.raises(UserError, match="--head mlm: the checkpoint's heads are itm"):
        main(["huggingface", str(checkpoint), "--to", str(tmp_path / "x"), "--head", "mlm"])


def test_only_bridgetowers_go_out(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="transformers' BridgeTower needs: the model is a Bridge"):
        main(["huggingface", str(trained), "--to", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_bad_input(folder: Path, roberta_folder: Path, tmp_path: Path) -> None:
    def fails(message: str, *args: object) -> None:
        with pytest.raises(UserError, match=message) as caught:
            main(["huggingface", *map(str, args), "--out", str(tmp_path / "x.pt")])
        assert "\n" not in str(caught.value)

    fails("no folder with a config.json", tmp_path)
    fails("no folder with a config.json", tmp_path / "none")
    fails("--text-length 30: give 3 to 18", folder, "--text-length", 30)
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    fails("is a clip, not a BridgeTower", tmp_path)
    (tmp_path / "config.json").write_text("{")
    fails("neither a local folder with a BridgeTower nor within reach", tmp_path)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub name where nothing can be reached is one line, at once."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    done = support.python(
        "-m", "mt_fairseq.convert", "huggingface", "someone/bridgetower-that-is-not-here",
        "--out", tmp_path / "x.pt", check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and "within reach on the hub" in done.stderr
