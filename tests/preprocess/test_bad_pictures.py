"""Bad pictures: one line that names the file, or left out and listed; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess import prepare_image

from .raw import build, captions, digest, write_jsonl, write_vqa

Spoil = Callable[[Path], object]
FIRST = "train2014/COCO_train2014_000000000000.jpg"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


PICTURES: list[tuple[str, Spoil]] = [
    ("is missing", lambda path: path.unlink()),
    ("is empty", lambda path: path.write_bytes(b"")),
    ("damaged", cut),
    ("not an image", lambda path: path.write_text("<html>404</html>")),
    ("is a folder", lambda path: (path.unlink(), path.mkdir())),
]


@pytest.mark.parametrize(("reason", "spoil"), PICTURES, ids=[reason for reason, _ in PICTURES])
@pytest.mark.parametrize("workers", [1, 2])
def test_bad_picture(tmp_path: Path, reason: str, spoil: Spoil, workers: int) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    spoil(raw / FIRST)
    with pytest.raises(UserError, match=f"{FIRST}.* ?{reason}.*--on-error skip") as error:
        build("vqav2", raw, tmp_path / "bin", "--workers", workers)
    assert "\n" not in str(error.value)
    data = DataBin(build("vqav2", raw, tmp_path / "skip", "--on-error", "skip",
                         "--workers", workers))  # fmt: skip
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert [item["record"] for item in skipped] == ["question 0", "question 1", "question 2"]
    assert all(FIRST in item["reason"] and reason in item["reason"] for item in skipped)
    assert len(data.split("train")) == 33 and len(data.images) == 15
    assert data.split("train").sample_id(0) == 1000
    keys = [data.images.key(int(data.split("train").images(i)[0])) for i in (0, 32)]
    assert keys == [FIRST.replace("00.jpg", "01.jpg"), FIRST.replace("00.jpg", "11.jpg")]


def test_a_line_break_in_a_name_stays_on_the_line(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    (raw / "two\nlines.jpg").write_text("<html>404</html>")
    with open(raw / "train.jsonl", "a", encoding="utf-8") as lines:
        lines.write(json.dumps({"image": "two\nlines.jpg", "text": "a cat"}) + "\n")
    with pytest.raises(UserError, match="not an image") as error:
        build("jsonl", raw, tmp_path / "bin")
    assert "\n" not in str(error.value) and r"two\nlines.jpg" in str(error.value)


def test_left_out_pictures_come_to_the_same_bytes(tmp_path: Path) -> None:
    """Whoever finds them: one process, several, shards; a pack may lose some, or all."""
    raw = write_jsonl(tmp_path / "raw", captions(120))
    for i in [3, 17, 18, 40, 77, *range(81, 90)]:
        cut(raw / f"{i:03d}.jpg")
    options = ("--images-per-pack", 9, "--on-error", "skip")
    plain = build("jsonl", raw, tmp_path / "plain", *options)
    several = build("jsonl", raw, tmp_path / "several", *options, "--workers", 3)
    for part in (2, 1):
        build("jsonl", raw, tmp_path / "shards", *options, "--shard", f"{part}/2", "--workers", 2)
    shards = build("jsonl", raw, tmp_path / "shards", *options, "--resume")
    assert digest(several) == digest(plain) == digest(shards)
    data = DataBin(plain)
    keys = [data.images.key(int(data.split("train").images(i)[0])) for i in range(len(data.images))]
    assert len(keys) == 106 and keys[3] == "004.jpg" and keys[75:77] == ["080.jpg", "090.jpg"]
    for name, about in data.metadata["files"].items():
        assert about["sha256"] == digest(plain)[name]


def test_an_error_in_a_worker_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw: other workers must not wait for that part for ever."""

    def prepare(key: str, *args: Any) -> Any:
        if key == "020.jpg":
            raise RuntimeError("no such thing")
        return prepare_image.prepare(key, *args)

    monkeypatch.setattr("preprocess.store_part.prepare", prepare)
    raw = write_jsonl(tmp_path / "raw", captions(200))
    with pytest.raises(RuntimeError, match="no such thing"):
        build("jsonl", raw, tmp_path / "bin", "--workers", 3)
    assert not list(tmp_path.rglob("*.tmp"))


def test_failed_run_goes_on_with_skip(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    cut(raw / FIRST)
    with pytest.raises(UserError, match="damaged"):
        build("vqav2", raw, tmp_path / "bin")
    with pytest.raises(UserError, match="unfinished"):
        DataBin(tmp_path / "bin")
    build("vqav2", raw, tmp_path / "bin", "--resume", "--on-error", "skip")
    assert len(DataBin(tmp_path / "bin").split("train")) == 33


def test_mended_picture_is_taken_up(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    whole = (raw / FIRST).read_bytes()
    cut(raw / FIRST)
    with pytest.raises(UserError, match="damaged"):
        build("vqav2", raw, tmp_path / "bin", "--images-per-pack", 5)
    (raw / FIRST).write_bytes(whole)
    build("vqav2", raw, tmp_path / "bin", "--images-per-pack", 5, "--resume")
    assert len(DataBin(tmp_path / "bin").split("train")) == 36


def test_all_pictures_damaged(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    for path in raw.glob("*.jpg"):
        path.write_text("no picture")
    with pytest.raises(UserError, match="none of the pictures"):
        build("jsonl", raw, tmp_path / "bin", "--on-error", "skip")
