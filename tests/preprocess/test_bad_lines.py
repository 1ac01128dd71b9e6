"""Faults in a user's own lines: one line each, or left out and listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, write_jsonl


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "line 2: is not valid JSON"),
        ("[]", "line 2: is not a JSON object"),
        ('{"image": "000.jpg"}', 'line 2: lacks "text"'),
        ('{"text": "x"}', 'line 2: needs "image" or "images"'),
        ('{"text": "x", "image": 3}', '"image" is not text: 3'),
        ('{"text": "x", "images": []}', '"images" must be a list of texts'),
        ('{"text": "x", "images": ["000.jpg", "001.jpg"]}', "has 2 pictures"),
        ('{"text": "x", "image": "000.jpg", "imgae": 1}', "unknown fields imgae"),
        ('{"text": "x", "image": "000.jpg", "answers": "yes"}', '"answers" is not a list'),
        ('{"text": "x", "image": "000.jpg", "answers": ["yes"]}', "has answers, train.jsonl"),
        ('{"text": "x", "image": "000.jpg", "label": "yes"}', "has label, train.jsonl line 1"),
        ('{"text": "x", "image": "000.jpg", "label": 1.5}', '"label" is neither'),
        ('{"text": "x", "image": "000.jpg", "id": [1]}', '"id" is neither'),
        ('{"text": "x", "image": "000.jpg", "id": "a"}', "of another kind"),
        ('{"text": "x", "image": "none.jpg"}', "none.jpg is missing"),
        ('{"text": "x", "image": "a", "label": 1, "answers": ["b"]}', "exclude each other"),
        ('{"text": "x", "image": "a\\u0000b"}', "cannot be read"),
    ],
)
def test_bad_line(tmp_path: Path, row: str, reason: str) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    lines = (raw / "train.jsonl").read_text().splitlines()
    (raw / "train.jsonl").write_text("\n".join([lines[0], row, *lines[1:]]))
    with pytest.raises(UserError, match=reason):
        build("jsonl", raw, tmp_path / "bin")
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--on-error", "skip",
                         "--min-answer-count", 1))  # fmt: skip
    assert len(data.split("train")) == 3
    assert data.metadata["splits"]["train"]["skipped"][0]["record"] == "train.jsonl line 2"


def test_id_twice(tmp_path: Path) -> None:
    rows = [{**row, "id": i % 3} for i, row in enumerate(captions(4))]
    with pytest.raises(UserError, match=r"line 4: its id 0 was taken by train\.jsonl line 1"):
        build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin")


def test_repeated_ids_are_left_out_and_listed(tmp_path: Path) -> None:
    """The first record of an id counts; a picture that only the others need is not stored."""
    rows = [{**row, "id": i} for row, i in zip(captions(7), [-1, -2, 5, -1, 5, 8, -1], strict=True)]
    raw = write_jsonl(tmp_path / "raw", rows)
    (raw / "003.jpg").write_bytes(b"no picture, and nothing needs it")
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--on-error", "skip"))
    train = data.split("train")
    assert [train.sample_id(i) for i in range(len(train))] == [-1, -2, 5, 8]
    assert [data.images.key(i) for i in range(len(data.images))] == [
        "000.jpg", "001.jpg", "002.jpg", "005.jpg"]  # fmt: skip
    skipped = [(x["record"], x["reason"]) for x in data.metadata["splits"]["train"]["skipped"]]
    assert skipped == [
        (f"train.jsonl line {line}", f"its id {i} was taken by train.jsonl line {first}; "
         "ids must differ within a split") for line, i, first in ((4, -1, 1), (5, 5, 3), (7, -1, 1))
    ]  # fmt: skip


def test_repeated_ids_change_no_class(tmp_path: Path) -> None:
    """Answers are counted once a record, though such a split is read twice."""
    rows = [{**row, "id": 0, "answers": ["red"]} for row in captions(3)]
    raw = write_jsonl(tmp_path / "raw", [*rows, {**captions(4)[3], "id": 1, "answers": ["blue"]}])
    options = ("--on-error", "skip", "--min-answer-count", 2)
    data = DataBin(build("jsonl", raw, tmp_path / "bin", *options))
    assert data.labels == ["red"] and len(data.split("train")) == 2


def test_label_with_a_line_break(tmp_path: Path) -> None:
    rows = [{**row, "label": "two\nlines"} for row in captions(2)]
    with pytest.raises(UserError, match="line break"):
        build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin")
