"""Real photographs, questions and captions, when the folder of shared data is there."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import main

from .raw import build, save_picture


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


def stand_in(folder: Path, names: Iterable[str]) -> Path:
    """A small JPEG under each name, in the place of a photograph that may not be passed on."""
    made = []
    for seed in range(4):
        made.append(folder / f"{seed}.stand-in")
        save_picture(made[-1], seed)
    for i, name in enumerate(sorted(set(names))):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(made[i % len(made)], folder / name)
    return folder


def test_esnlive_dev(shared_dir: Path, tmp_path: Path) -> None:
    raw = shared_dir / "data" / "esnlive" / "data"
    with open(raw / "esnlive_dev.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    pictures = stand_in(tmp_path / "pictures", (row["Flickr30kID"] for row in rows))
    data = DataBin(build("snli_ve", raw, tmp_path / "bin", "--image-root", pictures))
    valid = data.split("valid")
    assert data.splits == ["valid"] and len(valid) == 14339 and len(data.images) == 1000
    assert np.bincount(valid.array("label")).tolist() == [5643, 3442, 5254]
    for i in (0, 7000, 14338):
        assert data.dictionary.string(valid.text(i)) == " ".join(rows[i]["hypothesis"].split())
        assert valid.sample_id(i) == rows[i]["pairID"]


def test_snli_ve_of_the_older_release(shared_dir: Path, tmp_path: Path) -> None:
    lines = (shared_dir / "data" / "snli_ve_sample" / "sample_data.jsonl").read_text()
    raw = tmp_path / "raw"
    stand_in(raw / "flickr30k-images", (json.loads(x)["Flikr30kID"] for x in lines.splitlines()))
    (raw / "snli_ve_train.jsonl").write_text(lines)
    data = DataBin(build("snli_ve", raw, tmp_path / "bin"))
    train = data.split("train")
    assert train.array("label").tolist() == [2, 1, 2, 2, 2] and len(data.images) == 5
    assert data.dictionary.string(train.text(0)) == "A man walking with his son's bike."


def test_nlvr2_lines(shared_dir: Path, tmp_path: Path) -> None:
    raw = shared_dir / "data" / "nlvr2"
    lines = [json.loads(line) for name in ("dev", "test1")
             for line in (raw / "data" / f"{name}.json").read_text().splitlines()]  # fmt: skip
    stems = {line["identifier"].rpartition("-")[0] for line in lines}
    names = [f"{stem.split('-')[0]}/{stem}-img{side}.png" for stem in stems for side in (0, 1)]
    pictures = stand_in(tmp_path / "pictures", names)
    data = DataBin(build("nlvr2", raw, tmp_path / "bin", "--image-root", pictures))
    assert {name: len(data.split(name)) for name in data.splits} == {
        "valid": 405, "test": 405, "valid-balanced": 124, "valid-unbalanced": 218,
        "test-balanced": 136, "test-unbalanced": 206}  # fmt: skip
    assert np.bincount(data.split("valid").array("label")).tolist() == [193, 212]
    assert len(data.images) == 2 * len(stems)
    assert data.split("test").value("identifier", 0) == lines[405]["identifier"]
    assert data.images.key(0).endswith(".png") and data.images.image(0).format == "JPEG"
