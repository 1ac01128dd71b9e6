"""Every mistake in the input ends in one line that names it; skipping lists it; nothing is lost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, dump, save_picture, write_jsonl, write_vqa

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
        ("questions", {"question": None}, "question 0: its text is no string"),
        ("questions", {"question": "\ud800"}, "half a surrogate pair"),
        ("questions", {"image_id": None}, r"questions\[0\].*image_id"),
        ("questions", {"image_id": 77}, "question 0: image .*77.jpg is missing"),
        ("questions", {"question_id": 999}, "question 999: has no annotation"),
        ("annotations", {"answers": []}, "question 0: has no answers"),
        ("annotations", {"answers": [{"x": 1}]}, r'question 0: answers\[0\] lacks "answer"'),
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
        ('{"questions": 3}', '"questions" is no list'),
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


@pytest.mark.parametrize("dataset", ["vqav2", "coco", "jsonl"])
def test_wrong_folder_is_never_an_empty_dataset(tmp_path: Path, dataset: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"none of the expected files is there \(RAW/"):
        build(dataset, tmp_path / "empty", tmp_path / "bin", "--on-error", "skip")
    with pytest.raises(UserError, match="no such folder"):
        build(dataset, tmp_path / "none", tmp_path / "bin")
    assert not (tmp_path / "bin").exists()


def test_wrong_image_root_is_never_an_empty_dataset(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    (tmp_path / "else").mkdir()
    with pytest.raises(UserError, match=r"none of the 36 records of split 'train'.*else.*be used"):
        build("vqav2", raw, tmp_path / "bin", "--image-root", tmp_path / "else",
              "--on-error", "skip")  # fmt: skip


def test_all_pictures_damaged(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    for path in raw.glob("*.jpg"):
        path.write_text("no picture")
    with pytest.raises(UserError, match="none of the pictures"):
        build("jsonl", raw, tmp_path / "bin", "--on-error", "skip")


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


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "line 2: is not valid JSON"),
        ("[]", "line 2: is no JSON object"),
        ('{"image": "000.jpg"}', 'line 2: lacks "text"'),
        ('{"text": "x"}', 'line 2: needs "image" or "images"'),
        ('{"text": "x", "image": 3}', "must be file names"),
        ('{"text": "x", "images": []}', "must be file names"),
        ('{"text": "x", "images": ["000.jpg", "001.jpg"]}', "has 2 pictures"),
        ('{"text": "x", "image": "000.jpg", "imgae": 1}', "unknown fields imgae"),
        ('{"text": "x", "image": "000.jpg", "answers": "yes"}', "list of strings"),
        ('{"text": "x", "image": "000.jpg", "answers": ["yes"]}', "has answers, train.jsonl"),
        ('{"text": "x", "image": "000.jpg", "label": "yes"}', "has label, train.jsonl line 1"),
        ('{"text": "x", "image": "000.jpg", "label": 1.5}', '"label" must be'),
        ('{"text": "x", "image": "000.jpg", "id": [1]}', '"id" must be'),
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


def test_label_with_a_line_break(tmp_path: Path) -> None:
    rows = [{**row, "label": "two\nlines"} for row in captions(2)]
    with pytest.raises(UserError, match="line break"):
        build("jsonl", write_jsonl(tmp_path / "raw", rows), tmp_path / "bin")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--shard", "0/4"], "--shard 0/4: write I/N"),
        (["--shard", "5/4"], "--shard 5/4"),
        (["--workers", 0], "--workers 0: must be at least 1"),
        (["--resize", 0], "--resize 0"),
        (["--splits", "dev"], "no files of split 'dev' in .*there are train"),
        (["--resume", "--overwrite"], "exclude each other"),
        (["--tokenizer", "/no/such/folder"], "no such folder"),
        (["--vocab-size", 9], "--vocab-size 9"),
        (["--image-root", "/no/such"], "no such folder"),
    ],
)
def test_bad_option(tmp_path: Path, options: list[Any], reason: str) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(4))
    with pytest.raises(UserError, match=reason):
        build("jsonl", raw, tmp_path / "bin", *options)
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.json", '{"a": 0, "b": 2}', "classes must be 0 to 1"),
        ("a.json", "[1, 2]", "as strings"),
        ("a.json", "[", "not valid JSON"),
        ("a.json", "[]", "no answers"),
        ("a.txt", "a\na\n", "'a' occurs twice"),
        ("a.txt", "", "no answers"),
    ],
)
def test_bad_answer_list(tmp_path: Path, name: str, text: str, reason: str) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=reason):
        build("vqav2", raw, tmp_path / "bin", "--answer-list", tmp_path / name)


def test_no_answer_is_frequent_enough(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    with pytest.raises(UserError, match=r"--min-answer-count 100: .*'blue', 4 times"):
        build("vqav2", raw, tmp_path / "bin", "--min-answer-count", 100)


def limited(size: int) -> Callable[[], None]:
    """Let no file grow beyond ``size`` bytes, as a full quota would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(("limit", "name"), [(20_000, "images/00000.h5"), (600, "")])
def test_full_disk(tmp_path: Path, limit: int, name: str) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(40))
    command = [sys.executable, "-m", "preprocess", "jsonl", "--raw", str(raw), "--workers", "1",
               "--dest", str(tmp_path / "bin"), "--vocab-size", "100"]  # fmt: skip
    failed = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited(limit))
    last = failed.stderr.strip().splitlines()[-1]
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert last.startswith("error: ") and name in last and "--resume" in last
    assert not list(tmp_path.rglob("*.tmp"))
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    assert len(DataBin(tmp_path / "bin").split("train")) == 40


def test_full_disk_in_a_column_file(tmp_path: Path) -> None:
    """The packs fit; the columns, written through HDF5, do not."""
    rows = [{**row, "id": f"{i:010000d}"} for i, row in enumerate(captions(40))]
    raw = write_jsonl(tmp_path / "raw", rows)
    command = [sys.executable, "-m", "preprocess", "jsonl", "--raw", str(raw), "--workers", "1",
               "--dest", str(tmp_path / "bin"), "--vocab-size", "100",
               "--images-per-pack", "1"]  # fmt: skip
    failed = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited(300_000))
    last = failed.stderr.strip().splitlines()[-1]
    assert failed.returncode == 2 and "Traceback" not in failed.stderr
    assert "train.h5" in last and "--resume" in last
    subprocess.run([*command, "--resume"], check=True, capture_output=True)
    assert len(DataBin(tmp_path / "bin").split("train")) == 40


def test_read_only_destination_is_one_line(tmp_path: Path) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(2))
    with pytest.raises(UserError, match="cannot be written"):
        build("jsonl", raw, Path("/proc/data-bin"))


def test_data_bin_of_another_version(tmp_path: Path) -> None:
    dest = build("jsonl", write_jsonl(tmp_path / "raw", captions(2)), tmp_path / "bin")
    path = dest / "metadata.json"
    path.write_text(path.read_text().replace('"version": 1', '"version": 7'))
    with pytest.raises(UserError, match="format version 7, this code reads version 1"):
        DataBin(dest)


def test_what_is_no_data_bin(tmp_path: Path) -> None:
    for path, reason in [(tmp_path / "none", "no such data-bin"), (tmp_path, "no data-bin")]:
        with pytest.raises(UserError, match=reason):
            DataBin(path)
    (tmp_path / "metadata.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        DataBin(tmp_path)
    (tmp_path / "metadata.json").write_text("{}")
    with pytest.raises(UserError, match="not the description"):
        DataBin(tmp_path)


def test_command_line_ends_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "preprocess", "vqav2", "--raw", "/no/such"]
    run = subprocess.run([*command, "--dest", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr == "error: /no/such: there is no such folder\n"
