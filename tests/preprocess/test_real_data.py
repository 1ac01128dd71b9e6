"""Real photographs, questions and captions, when the folder of shared data is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .raw import build


def test_vqav2_with_the_usual_classes(shared_dir: Path, tmp_path: Path) -> None:
    data = shared_dir / "data"
    options = ["--image-root", data / "coco", "--answer-list",
               data / "vqav2_answers" / "trainval_ans2label.json"]  # fmt: skip
    with pytest.raises(UserError, match=r"question \d+: image .* missing \(1,963 of 2,000"):
        build("vqav2", data / "vqav2", tmp_path / "bin", *options)
    found = DataBin(build("vqav2", data / "vqav2", tmp_path / "bin", *options,
                          "--on-error", "skip"))  # fmt: skip
    train = found.split("train")
    assert len(train) == 37 and len(found.images) == 26
    assert len(found.metadata["splits"]["train"]["skipped"]) == 1963
    assert found.labels is not None and len(found.labels) == 3129 and found.labels[0] == ""
    for i in range(37):
        raw = (data / "coco" / found.images.key(int(train.images(i)[0]))).read_bytes()
        assert found.images.raw(int(train.images(i)[0])) == raw
    main(["inspect", str(found.path), "--sample", "8", "--out", str(tmp_path / "page.png")])


def test_coco_in_both_formats(shared_dir: Path, tmp_path: Path) -> None:
    raw = shared_dir / "data" / "coco"
    karpathy = DataBin(build("coco", raw, tmp_path / "a"))
    assert {name: len(karpathy.split(name)) for name in karpathy.splits} == {
        "train": 585, "valid": 160}  # fmt: skip
    official = DataBin(build("coco", raw, tmp_path / "b", "--captions", "official",
                             "--on-error", "skip", "--resize", 64))  # fmt: skip
    assert sum(len(official.split(name)) for name in official.splits) == 745
    for i in range(len(karpathy.images)):
        image = karpathy.images.image(i, min_side=64)
        assert image.mode == "RGB" and min(image.size) >= 64


def test_easy_vqa_as_jsonl(shared_dir: Path, tmp_path: Path) -> None:
    source = shared_dir / "data" / "easy_vqa" / "data" / "train"
    rows = json.loads((source / "questions.json").read_text())[:2000]
    lines = [json.dumps({"image": f"{image}.png", "text": text, "answers": [answer]})
             for text, answer, image in rows]  # fmt: skip
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "train.jsonl").write_text("\n".join(lines))
    data = DataBin(build("jsonl", tmp_path / "raw", tmp_path / "bin",
                         "--image-root", source / "images"))  # fmt: skip
    assert data.labels is not None and len(data.labels) == 13
    for i in (0, 1999):
        assert data.labels[data.split("train").value("label", i)] == rows[i][1]
