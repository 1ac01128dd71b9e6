"""Faults in the files of VQA v2 and COCO: one line each, or left out and listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, dump, save_picture, write_vqa


def first_row(raw: Path, kind: str) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    name = {"questions": "v2_OpenEnded_mscoco_train2014_questions.json",
            "annotations": "v2_mscoco_train2014_annotations.json"}[kind]  # fmt: skip
    content = json.loads((raw / name).read_text())
    return raw / name, content, content[kind][0]


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("questions", {"question": ""}, "question 0: its text is empty"),
        ("questions", {"question": "  "}, "question 0: its text is empty"),
        ("questions", {"question": None}, r'questions\[0\]: "question" is not text: None'),
        ("questions", {"question": "\ud800"}, "half a surrogate pair"),
        ("questions", {"image_id": None}, r"questions\[0\].*image_id"),
        ("questions", {"image_id": 77}, "question 0: image .*77.jpg is missing"),
        ("questions", {"question_id": 999}, "question 999: has no annotation"),
        ("annotations", {"answers": []}, "question 0: has no answers"),
        ("annotations", {"answers": [{"x": 1}]}, r'question 0.answers\[0\]: lacks "answer"'),
    ],
)
def test_bad_vqa_record(tmp_path: Path, kind: str, change: dict[str, Any], reason: str) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    path, content, row = first_row(raw, kind)
    row.update(change)
    dump(path, content)
    with pytest.raises(UserError, match=reason):
        build("vqav2", raw, tmp_path / "bin")
    assert not (tmp_path / "bin").exists()
    data = DataBin(build("vqav2", raw, tmp_path / "bin", "--on-error", "skip"))
    assert len(data.split("train")) == 35
    assert data.metadata["splits"]["train"]["skipped"]


@pytest.mark.parametrize("field", ["question_id", "image_id", "question"])
def test_question_without_field(tmp_path: Path, field: str) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    path, content, row = first_row(raw, "questions")
    del row[field]
    dump(path, content)
    with pytest.raises(UserError, match=rf'questions\[0\]: lacks "{field}"'):
        build("vqav2", raw, tmp_path / "bin")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "ends too early"),
        ("[1, 2]", "expected '{'"),
        ('{"questions": [{"question_id": 1,', "not valid JSON"),
        ('{"questions": [{}, {} {}]}', "expected a comma"),
        ('{"questions": 3}', '"questions" is not a list'),
        ('{"annotations": []}', r'has no list "questions" \(only annotations\)'),
        ('{"questions": []}', "annotation of question 0: has no question"),
        ("not json", "expected '{'"),
    ],
)
def test_bad_json(tmp_path: Path, text: str, reason: str) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    (raw / "v2_OpenEnded_mscoco_train2014_questions.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        build("vqav2", raw, tmp_path / "bin", "--splits", "train", "--on-error", "skip")


def test_missing_annotations(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    (raw / "v2_mscoco_val2014_annotations.json").unlink()
    with pytest.raises(UserError, match=r"v2_mscoco_val2014_annotations\.json are missing"):
        build("vqav2", raw, tmp_path / "bin")
    build("vqav2", raw, tmp_path / "bin", "--splits", "train")


def test_captions_and_pictures_that_miss_each_other(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(3)]
    for i in range(3):
        save_picture(raw / "train2017" / f"{i}.jpg", i)
    rows = [{"id": 1, "image_id": 0, "caption": "One."}, {"id": 2, "image_id": 9, "caption": "X"},
            {"id": 3, "image_id": 1, "caption": ""}]  # fmt: skip
    path = raw / "annotations" / "captions_train2017.json"
    dump(path, {"images": images, "annotations": rows})
    data = DataBin(build("coco", raw, tmp_path / "bin", "--on-error", "skip"))
    reasons = [f"{x['record']} {x['reason']}" for x in data.metadata["splits"]["train"]["skipped"]]
    assert reasons == ["caption 2 its image 9 is not listed", "caption 3 its text is empty",
                       "image 2 (2.jpg) has no caption"]  # fmt: skip
    assert len(data.images) == 1
    with pytest.raises(UserError, match=r"caption 2: its image 9 .*3 of 4 records"):
        build("coco", raw, tmp_path / "bin2")
