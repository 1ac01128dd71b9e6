"""inspect prints what is inside, finds every kind of damage, and shows samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .raw import build, captions, write_jsonl, write_vqa


def inspect(*options: object) -> None:
    main(["inspect", *map(str, options)])


@pytest.fixture
def data_bin(tmp_path: Path) -> Path:
    return build("vqav2", write_vqa(tmp_path / "raw"), tmp_path / "bin", "--min-answer-count", 1)


def test_description(data_bin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inspect(data_bin)
    out = capsys.readouterr().out
    assert "train: 36 samples on 12 images" in out
    assert "classes: 4 ('red', 'green', 'blue', 'yellow'" in out
    assert "labels: 'red' 25 %" in out or "'red' 25 %" in out
    assert "height 24 to" in out and "mean" in out
    assert "20 images agree" in out


@pytest.mark.parametrize(
    "name", ["train.text.bin", "train.h5", "images/00000.h5", "dict.txt", "dict.label.txt"]
)
def test_a_changed_byte_is_found(data_bin: Path, name: str) -> None:
    path = data_bin / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{name}: its checksum differs"):
        inspect(data_bin)


def test_missing_and_cut_off_files(data_bin: Path) -> None:
    (data_bin / "dict.txt").unlink()
    with pytest.raises(UserError, match=r"dict\.txt: the file is missing"):
        inspect(data_bin)
    text = data_bin / "train.text.bin"
    text.write_bytes(text.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"dict\.txt: the file is missing \(and 1 more"):
        inspect(data_bin)


def test_html_page(data_bin: Path, tmp_path: Path) -> None:
    inspect(data_bin, "--sample", 10, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<figure>") == 10
    assert "What colour is thing 0, number 0?" in page and "&#x27;red&#x27; 1.0" in page
    assert page.count("data:image/jpeg;base64,") == 10 and 'src="http' not in page


def test_html_escapes_text(tmp_path: Path) -> None:
    rows = [{"image": "1.jpg", "text": "<script>alert(1)</script>", "label": "<b>"}]
    dest = build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin")
    inspect(dest, "--sample", 3, "--out", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_contact_sheet(data_bin: Path, tmp_path: Path) -> None:
    inspect(data_bin, "--sample", 6, "--out", tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 900 and np.asarray(sheet).std() > 20


def test_two_pictures_a_sample(tmp_path: Path) -> None:
    rows = [{"images": ["1.jpg", "2.jpg"], "text": "Both."}]
    dest = build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin")
    inspect(dest, "--sample", 1, "--out", tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text().count("<img") == 2
    inspect(dest, "--sample", 1, "--out", tmp_path / "page.png")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--sample", 0], "--sample 0"),
        (["--sample", 2, "--out", "x.pdf"], "must end in"),
        (["--sample", 2, "--out", "/no/such/x.png"], "no folder"),
    ],
)
def test_bad_options(tmp_path: Path, options: list[object], reason: str) -> None:
    dest = build("jsonl", write_jsonl(tmp_path / "raw", captions(2)), tmp_path / "bin")
    with pytest.raises(UserError, match=reason):
        inspect(dest, *options)


def test_unfinished_data_bin(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(2))
    dest = build("jsonl", raw, tmp_path / "bin", "--shard", "1/1")
    with pytest.raises(UserError, match="unfinished; run its preprocess command again"):
        inspect(dest)
