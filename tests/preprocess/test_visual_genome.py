"""Visual Genome: descriptions taken once, questions split as COCO's pictures are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, dump, save_picture

REGIONS, QUESTIONS = "region_descriptions.json", "question_answers.json"


def write_pictures(raw: Path) -> None:
    """1 to 6, in both of the official folders."""
    for i in range(1, 7):
        save_picture(raw / ("VG_100K" if i % 2 else "VG_100K_2") / f"{i}.jpg", i)


def write_vg(raw: Path) -> Path:
    write_pictures(raw)
    phrases = {1: ["a dog", "a dog", "a cat", "a dog "], 2: ["a dog"], 3: ["A dog", "a dog"], 4: []}
    number = iter(range(100, 200))
    dump(raw / REGIONS, [
        {"id": i, "regions": [{"region_id": next(number), "image_id": i, "phrase": text,
                               "x": 1, "y": 2, "width": 3, "height": 4} for text in texts]}
        for i, texts in phrases.items()
    ])  # fmt: skip
    return raw


def test_descriptions_of_a_picture_are_taken_once(tmp_path: Path) -> None:
    data = DataBin(build("vg", write_vg(tmp_path / "raw"), tmp_path / "bin"))
    train = data.split("train")
    assert [train.sample_id(i) for i in range(len(train))] == [100, 102, 104, 105, 106]
    assert train.array("image_id").tolist() == [1, 1, 2, 3, 3] and len(data.images) == 3
    assert data.dictionary.string(train.text(1)) == "a cat" and data.images.key(1) == "2.jpg"
    about = data.metadata["splits"]["train"]
    assert about["remark"] == "2 repeated descriptions of the same picture taken once"
    assert about["skipped"] == []


def test_folders_of_older_archives(tmp_path: Path) -> None:
    """annotations/ and images/, as ViLT, METER and ManagerTower have them."""
    raw = write_vg(tmp_path / "raw")
    (raw / "annotations").mkdir()
    (raw / REGIONS).rename(raw / "annotations" / REGIONS)
    (raw / "images").mkdir()
    for name in ("VG_100K", "VG_100K_2"):
        (raw / name).rename(raw / "images" / name)
    assert len(DataBin(build("vg", raw, tmp_path / "bin")).split("train")) == 5


@pytest.mark.parametrize(
    ("change", "reason", "left"),
    [
        (lambda x: x[0].pop("id"), 'region_descriptions.json: [0]: lacks "id"', 3),
        (lambda x: x[0].update(id="1"), "[0]: \"id\" is not a whole number: '1'", 3),
        (lambda x: x[0].update(id=9), "region 100: image 9.jpg is missing", 3),
        (lambda x: x[1]["regions"][0].pop("phrase"), '[1].regions[0]: lacks "phrase"', 4),
        (
            lambda x: x[1]["regions"][0].update(phrase=3),
            'regions[0]: "phrase" is not text: 3',
            4,
        ),
        (lambda x: x[1]["regions"][0].update(region_id=100), "region 100: its id 100 was taken", 4),
    ],
)
def test_bad_region(tmp_path: Path, change: Callable[[Any], Any], reason: str, left: int) -> None:
    raw = write_vg(tmp_path / "raw")
    content = json.loads((raw / REGIONS).read_text())
    change(content)
    dump(raw / REGIONS, content)
    with pytest.raises(UserError) as error:
        build("vg", raw, tmp_path / "bin")
    assert reason in str(error.value)
    data = DataBin(build("vg", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert reason in f"{skipped[0]['record']}: {skipped[0]['reason']}"
    assert len(data.split("train")) == left


def write_vgqa(raw: Path) -> Path:
    """Pictures 1 to 4 are COCO's 11 to 14: train, restval, val, test; 5 and 6 are others."""
    write_pictures(raw)
    pairs = [("What?", "Red."), ("Who?", "A man"), ("Who?", "dog"), ("What?", "red"),
             ("Where?", "nowhere at all")]  # fmt: skip
    dump(raw / QUESTIONS, [
        {"id": i, "qas": [{"qa_id": 10 * i + j, "image_id": i, "question": f"{question} {i}",
                           "answer": answer} for j, (question, answer) in enumerate(pairs)]}
        for i in range(1, 7)
    ])  # fmt: skip
    dump(raw / "image_data.json", [{"image_id": i, "url": "", "width": 1, "height": 1,
                                    "coco_id": 10 + i if i < 5 else None, "flickr_id": None}
                                   for i in range(1, 7)])  # fmt: skip
    parts = [("train2014", "train"), ("val2014", "restval"), ("val2014", "val"),
             ("val2014", "test")]  # fmt: skip
    dump(raw / "dataset_coco.json", {"images": [
        {"cocoid": 11 + i, "filepath": folder, "split": split}
        for i, (folder, split) in enumerate(parts)]})  # fmt: skip
    return raw


@pytest.mark.parametrize(
    ("options", "train", "valid"),
    [
        ([], [1, 2, 5, 6], [3, 4]),
        (["--coco-only"], [1, 2], [3, 4]),
        (["--coco-splits", "2014"], [1, 5, 6], [2, 3, 4]),
    ],
)
def test_splits_follow_coco(
    tmp_path: Path, options: list[str], train: list[int], valid: list[int]
) -> None:
    raw = write_vgqa(tmp_path / "raw")
    data = DataBin(build("vgqa", raw, tmp_path / "bin", "--min-answer-count", 1, *options))
    for split, pictures in (("train", train), ("valid", valid)):
        assert sorted(set(data.split(split).array("image_id").tolist())) == pictures


def test_answers(tmp_path: Path) -> None:
    raw = write_vgqa(tmp_path / "raw")
    data = DataBin(build("vgqa", raw, tmp_path / "a", "--min-answer-count", 1, "--splits", "valid"))
    valid = data.split("valid")
    assert data.labels == ["red", "nowhere at all"]
    assert [valid.sample_id(i) for i in range(4)] == [30, 34, 40, 44]
    assert valid.array("answer_weight").tolist() == [0.5] * len(valid)
    assert valid.value("scores", 0).tolist() == [1.0] and valid.value("answers", 0) == ["Red."] * 10
    about = data.metadata["splits"]["valid"]["remark"]
    assert about == "4 questions with several answers left out; 2 repeated questions left out"
    (tmp_path / "classes.txt").write_text("\nThe Dog\nRed\n")
    options = ("--answer-list", tmp_path / "classes.txt", "--splits", "valid")
    data = DataBin(build("vgqa", raw, tmp_path / "b", *options))
    valid = data.split("valid")
    # "a man" is no class, so only one answer to "Who?" is left
    assert [valid.sample_id(i) for i in range(4)] == [30, 32, 40, 42]
    assert data.labels == ["", "dog", "red"] and valid.array("label").tolist() == [2, 1, 2, 1]
    assert "4 questions whose answer is no class" in data.metadata["splits"]["valid"]["remark"]


@pytest.mark.parametrize(
    ("file", "change", "reason"),
    [
        (QUESTIONS, lambda x: x[0].pop("qas"), 'question_answers.json: [0]: lacks "qas"'),
        (QUESTIONS, lambda x: x[0].update(id=9), "its picture 9 is not in image_data.json"),
        (QUESTIONS, lambda x: x[0]["qas"][0].pop("answer"), '[0].qas[0]: lacks "answer"'),
        (QUESTIONS, lambda x: x[0]["qas"][0].update(answer=1), 'qas[0]: "answer" is not text: 1'),
        (QUESTIONS, lambda x: x[0]["qas"][0].update(qa_id=20), "its id 20 was taken by"),
        ("image_data.json", lambda x: x[0].update(coco_id=99),
         "its picture 1 is COCO's 99, which is not in dataset_coco.json"),
        ("image_data.json", lambda x: x[0].pop("coco_id"),
         '(which has an entry that cannot be read: [0]: lacks'),
        ("dataset_coco.json", lambda x: x["images"][0].update(split="dev"),
         "images[0]: unknown split 'dev'"),
    ],
)  # fmt: skip
def test_bad_question(tmp_path: Path, file: str, change: Callable[[Any], Any], reason: str) -> None:
    raw = write_vgqa(tmp_path / "raw")
    content = json.loads((raw / file).read_text())
    change(content)
    dump(raw / file, content)
    with pytest.raises(UserError) as error:
        build("vgqa", raw, tmp_path / "bin", "--min-answer-count", 1)
    assert reason in str(error.value)


@pytest.mark.parametrize("file", ["image_data.json", "dataset_coco.json"])
def test_what_keeps_the_splits_apart_is_needed(tmp_path: Path, file: str) -> None:
    raw = write_vgqa(tmp_path / "raw")
    (raw / file).unlink()
    with pytest.raises(UserError, match=f"{file}: missing; it keeps COCO's splits apart"):
        build("vgqa", raw, tmp_path / "bin")
