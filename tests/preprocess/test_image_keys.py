"""One name per image, hidden files are no data."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.fields import FieldFault
from preprocess.image_keys import normal_key

from .raw import build, captions, digest, save_picture, write_jsonl, write_vqa
from .test_refcoco import write_refcoco
from .test_web_captions import TRAIN, url, write_cc


@pytest.mark.parametrize(
    ("key", "normal"),
    [
        ("x.jpg", "x.jpg"), ("./x.jpg", "x.jpg"), ("a/../x.jpg", "x.jpg"), ("a//b/./x", "a/b/x"),
        ("/data/images/a/x.jpg", "a/x.jpg"), ("../images/x.jpg", "x.jpg"), ("a\\x.jpg", "a\\x.jpg"),
        ("..x/y", "..x/y"), ("x.jpg/", "x.jpg"),
    ],
)  # fmt: skip
def test_normal_keys(key: str, normal: str) -> None:
    assert normal_key(key, "/data/images", "row") == normal
    assert normal_key(normal, "/data/images", "row") == normal


@pytest.mark.parametrize(
    "key", ["/x.jpg", "../x.jpg", "a/../../x.jpg", "/data/images2/x.jpg", "", ".", "a/..", "a\0b"]
)
def test_keys_outside(key: str) -> None:
    with pytest.raises(FieldFault):
        normal_key(key, "/data/images", "row")
    assert normal_key("/x.jpg", "/", "row") == "x.jpg"


def _own(folder: Path, names: list[str]) -> Path:
    """Lines about pictures; x.jpg and a/y.jpg are there."""
    save_picture(folder / "x.jpg", 1)
    save_picture(folder / "a" / "y.jpg", 2)
    lines = [json.dumps({"image": name, "text": f"Text {i}."}) for i, name in enumerate(names)]
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder


def test_an_image_is_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = tmp_path / "raw"
    names = ["./x.jpg", "a/y.jpg", "x.jpg", "a/../x.jpg", f"{raw}/x.jpg", f"{raw}/a/./y.jpg"]
    monkeypatch.chdir(_own(raw, names))
    for root in (raw, ".", os.path.join("..", "raw")):  # however the folder is named
        data = DataBin(build("jsonl", root, tmp_path / "bin", "--overwrite"))
        assert [data.images.key(i) for i in range(len(data.images))] == ["x.jpg", "a/y.jpg"]
        assert data.split("train").image_column.ravel().tolist() == [0, 1, 0, 0, 0, 1]


def test_images_elsewhere(tmp_path: Path) -> None:
    save_picture(tmp_path / "other" / "z.jpg", 3)
    names = ["x.jpg", str(tmp_path / "other" / "z.jpg"), "../other/z.jpg"]
    raw = _own(tmp_path / "raw", names)
    with pytest.raises(UserError, match=r"line 2: image .*z\.jpg lies outside of .*--image-root"):
        build("jsonl", raw, tmp_path / "bin")
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--on-error", "skip"))
    assert len(data.split("train")) == 1
    assert str(tmp_path) not in str([data.images.key(i) for i in range(len(data.images))])
    raw = _own(tmp_path / "raw", [f"{tmp_path}/raw/x.jpg", f"{tmp_path}/other/z.jpg"])
    data = DataBin(build("jsonl", raw, tmp_path / "bin2", "--image-root", tmp_path))
    assert [data.images.key(i) for i in range(2)] == ["raw/x.jpg", "other/z.jpg"]


def test_groups_of_captions_follow_the_image(tmp_path: Path) -> None:
    """Conceptual Captions makes its ``image_id`` from the key."""
    raw = write_cc(tmp_path / "raw")
    names = ["train/00000000.jpg", "./train/00000000.jpg", "train//00000001.jpg"]
    lines = [f"caption {i}\t{url(i)}\t{name}\n" for i, name in enumerate(names)]
    (raw / TRAIN).write_text("".join(lines))
    train = DataBin(build("cc", raw, tmp_path / "bin", "--splits", "train")).split("train")
    assert train.image_column.ravel().tolist() == [0, 0, 1]
    first, second, third = train.array("image_id").tolist()
    assert first == second != third


def test_hidden_files_are_no_data(tmp_path: Path) -> None:
    """macOS writes ``._NAME`` beside every file it copies to a foreign disk."""
    raw = write_jsonl(tmp_path / "own", captions(3))
    plain = digest(build("jsonl", raw, tmp_path / "a"))
    (raw / "._train.jsonl").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    (raw / ".test.jsonl").write_text((raw / "train.jsonl").read_text())
    assert digest(build("jsonl", raw, tmp_path / "b")) == plain


@pytest.mark.parametrize("dataset", ["vqav2", "refcoco"])
def test_hidden_folders_are_no_data(tmp_path: Path, dataset: str) -> None:
    """Of the readers that look one folder deeper."""
    raw = (write_vqa if dataset == "vqav2" else write_refcoco)(tmp_path / "raw")
    (raw / ".trash").mkdir()
    for path in [*raw.glob("*.json"), *raw.glob("*.p")]:
        path.rename(raw / ".trash" / path.name)
    with pytest.raises(UserError, match="none of the expected files is there"):
        build(dataset, raw, tmp_path / "bin")
