"""A text of which the tokenizer leaves nothing is a bad record, as it is no question either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from transformers import BertTokenizerFast

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, digest, write_jsonl

ZERO_WIDTH = "\u200b\ufeff\u200b"
BARS = "\u2581\u2581"
"""SentencePiece takes this character for a space."""
ACCENTS = "\u0301\u0302"
"""BERT's cleaning deletes accents."""


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz.,"]
    pieces = [*words, *(f"##{c}" for c in "abcdefghijklmnopqrstuvwxyz")]
    BertTokenizerFast({piece: i for i, piece in enumerate(pieces)}).save_pretrained(folder)
    return folder


def _raw(folder: Path, *texts: str) -> Path:
    """Three captions, and further texts of pictures that only they use."""
    rows = [*captions(3), *({"image": f"x{i}.jpg", "text": text} for i, text in enumerate(texts))]
    return write_jsonl(folder, rows)


@pytest.mark.parametrize(("kind", "text"), [
    ("sentencepiece", ZERO_WIDTH), ("sentencepiece", BARS), ("bert", ZERO_WIDTH), ("bert", ACCENTS),
])  # fmt: skip
def test_a_bad_record(tmp_path: Path, bert: Path, kind: str, text: str) -> None:
    raw = _raw(tmp_path / "raw", text, "狮子")
    tokenizer = ("--tokenizer", bert) if kind == "bert" else ()
    with pytest.raises(UserError, match=r"train\.jsonl line 4: its text leaves no token: '"):
        build("jsonl", raw, tmp_path / "bin", *tokenizer)
    assert not (tmp_path / "bin").exists()
    data = DataBin(build("jsonl", raw, tmp_path / "bin", *tokenizer, "--on-error", "skip"))
    train = data.split("train")
    assert len(train) == 4 and min(train.text_lengths) > 0
    keys = [data.images.key(i) for i in range(len(data.images))]
    assert keys == ["000.jpg", "001.jpg", "002.jpg", "x1.jpg"]
    (skipped,) = data.metadata["splits"]["train"]["skipped"]
    assert skipped["record"] == "train.jsonl line 4" and len(json.dumps(skipped)) < 200


def test_the_tokenizer_decides(tmp_path: Path, bert: Path) -> None:
    """What one tokenizer deletes is text for another."""
    raw = _raw(tmp_path / "raw", ACCENTS)
    assert len(DataBin(build("jsonl", raw, tmp_path / "a")).split("train")) == 4
    bars = build("jsonl", _raw(tmp_path / "bars", BARS), tmp_path / "b", "--tokenizer", bert)
    assert len(DataBin(bars).split("train")) == 4


def test_texts_in_other_scripts_change_nothing_else(tmp_path: Path) -> None:
    """The second reading gives the same classes, images and ids."""
    rows = [{"image": f"{i}.jpg", "text": text, "answers": ["ja"]}
            for i, text in enumerate(["狮子", "лев", "🙂", "lion"])]  # fmt: skip
    raw = write_jsonl(tmp_path / "raw", rows)
    first = build("jsonl", raw, tmp_path / "a", "--min-answer-count", 1)
    again = build("jsonl", raw, tmp_path / "b", "--min-answer-count", 1, "--on-error", "skip")
    assert digest(first) == digest(again)
    data = DataBin(first)
    assert data.labels == ["ja"] and len(data.images) == len(data.split("train")) == 4
