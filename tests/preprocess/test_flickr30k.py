"""Flickr30K in Karpathy's splits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, dump
from .raw_tasks import write_flickr30k


def test_all_captions_and_their_groups(tmp_path: Path) -> None:
    data = DataBin(build("flickr30k", write_flickr30k(tmp_path / "raw"), tmp_path / "bin"))
    assert {name: len(data.split(name)) for name in data.splits} == {
        "train": 16, "valid": 10, "test": 5}  # fmt: skip
    train = data.split("train")
    assert train.array("image_id").tolist() == [0] * 6 + [2] * 5 + [5] * 5
    assert train.image_column.ravel().tolist() == [0] * 6 + [1] * 5 + [2] * 5
    assert data.dictionary.string(train.text(7)) == "Caption 1 of 2." and train.sample_id(7) == 21
    assert data.images.key(3) == "flickr30k-images/1001.jpg" and data.labels is None


@pytest.mark.parametrize(
    ("spoil", "reason", "lost"),
    [
        (lambda item: item.update(split="dev"), "images[2]: unknown split 'dev'", 5),
        (lambda item: item.pop("imgid"), 'images[2]: lacks "imgid"', 5),
        (
            lambda item: item.update(sentences=[]),
            "image flickr30k-images/1002.jpg: has no caption",
            5,
        ),
        (lambda item: item["sentences"][0].pop("raw"), 'images[2].sentences[0]: lacks "raw"', 1),
        (lambda item: item["sentences"][0].update(sentid=1), "caption 1: its id 1 was taken", 1),
        (lambda item: item.update(filename="1.jpg"), "image flickr30k-images/1.jpg is missing", 5),
        (lambda item: item.update(imgid="x"), "its image_id 'x' is of another kind than 0", 5),
    ],
)
def test_bad_picture(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], reason: str, lost: int
) -> None:
    raw = write_flickr30k(tmp_path / "raw")
    content = json.loads((raw / "dataset_flickr30k.json").read_text())
    spoil(content["images"][2])
    dump(raw / "dataset_flickr30k.json", content)
    with pytest.raises(UserError) as error:
        build("flickr30k", raw, tmp_path / "bin")
    assert reason in str(error.value) and "\n" not in str(error.value)
    data = DataBin(build("flickr30k", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert reason in f"{skipped[0]['record']}: {skipped[0]['reason']}"
    assert len(data.split("train")) == 16 - lost


def test_without_the_file(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    with pytest.raises(UserError, match=r"none of the expected files is there \(RAW/dataset_fl"):
        build("flickr30k", tmp_path / "raw", tmp_path / "bin")


def test_splits_without_pictures_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flickr30K, COCO and RefCOCO hold their splits in one file."""
    raw = write_flickr30k(tmp_path / "raw")
    content = json.loads((raw / "dataset_flickr30k.json").read_text())
    content["images"] = [item for item in content["images"] if item["split"] != "val"]
    dump(raw / "dataset_flickr30k.json", content)
    build("flickr30k", raw, tmp_path / "bin")
    said = "not there, so left out: valid (dataset_flickr30k.json)"
    assert said in capsys.readouterr().err.splitlines()
    dump(raw / "dataset_coco.json", content)
    build("coco", raw, tmp_path / "coco", "--image-root", raw / "flickr30k-images")
    assert "not there, so left out: valid (dataset_coco.json)\n" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"no files of split 'valid' in .*there are train, test"):
        build("coco", raw, tmp_path / "other", "--splits", "valid")
