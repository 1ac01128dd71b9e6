"""Conceptual Captions and SBU: local pictures found by a pattern, missing ones listed."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, dump, save_picture

TRAIN, VALID = "Train_GCC-training.tsv", "Validation_GCC-1.1.0-Validation.tsv"


def url(i: int) -> str:
    return f"http://host{i % 2}.example/some%20place/p{i}.jpg?size=large"


def write_cc(raw: Path, name: str = "{split}/{line:08d}.jpg") -> Path:
    """5 and 2 lines; the pictures lie as the pattern says."""
    raw.mkdir(parents=True)
    for file, split, count in ((TRAIN, "train", 5), (VALID, "valid", 2)):
        lines = [f"caption {i} of {split}\t{url(i)}\n" for i in range(count)]
        (raw / file).write_text("".join(lines), encoding="utf-8")
        for i in range(count):
            place = name.format(split=split, line=i, name=f"p{i}.jpg",
                                crc32=zlib.crc32(url(i).encode()))  # fmt: skip
            save_picture(raw / place, i)
    return raw


def test_default_names(tmp_path: Path) -> None:
    data = DataBin(build("cc", write_cc(tmp_path / "raw"), tmp_path / "bin"))
    assert data.splits == ["train", "valid"]
    train = data.split("train")
    assert len(train) == 5 and train.sample_id(3) == 3
    assert data.dictionary.string(train.text(3)) == "caption 3 of train"
    assert data.images.key(int(train.images(3)[0])) == "train/00000003.jpg"
    assert len(set(train.array("image_id").tolist())) == 5


@pytest.mark.parametrize("name", ["{split}_images/{name}", "{split}/{crc32}", "{split}-{line}"])
def test_other_names(tmp_path: Path, name: str) -> None:
    raw = write_cc(tmp_path / "raw", name)
    data = DataBin(build("cc", raw, tmp_path / "bin", "--image-name", name))
    assert len(data.split("train")) == 5 and len(data.images) == 7


def test_third_column_names_the_file(tmp_path: Path) -> None:
    raw = write_cc(tmp_path / "raw")
    lines = [f"caption {i}\t{url(i)}\ttrain/0000000{i // 2}.jpg\n" for i in range(5)]
    (raw / TRAIN).write_text("".join(lines))
    train = DataBin(build("cc", raw, tmp_path / "bin", "--splits", "train")).split("train")
    assert train.image_column.ravel().tolist() == [0, 0, 1, 1, 2]
    groups = train.array("image_id").tolist()
    assert groups[0] == groups[1] != groups[2] == groups[3] and groups[4] not in groups[:4]


def test_missing_pictures_are_listed(tmp_path: Path) -> None:
    raw = write_cc(tmp_path / "raw")
    for i in (1, 4):
        (raw / "train" / f"0000000{i}.jpg").unlink()
    (raw / "train" / "00000002.jpg").write_text("<html>404</html>")
    with pytest.raises(UserError, match=r"image train/00000001\.jpg is missing \(2 of 5 records"):
        build("cc", raw, tmp_path / "bin")
    data = DataBin(build("cc", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert [item["record"].rpartition(" ")[2] for item in skipped] == ["1", "2", "4"]
    for item, reason in zip(skipped, ("is missing", "not an image", "is missing"), strict=True):
        assert reason in item["reason"]
    assert [data.split("train").sample_id(i) for i in range(2)] == [0, 3]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"only a caption", "has 1 columns, not caption, address and perhaps file"),
        (b"a\tb\tc\td", "has 4 columns"),
        (b"\xff\thttp://x/y.jpg", "is not UTF-8 text"),
        (b" \thttp://x/y.jpg", "its text is empty"),
    ],
)
def test_bad_line(tmp_path: Path, line: bytes, reason: str) -> None:
    raw = write_cc(tmp_path / "raw")
    with open(raw / VALID, "ab") as stream:
        stream.write(line + b"\r\n")
    save_picture(raw / "valid" / "00000002.jpg", 1)
    with pytest.raises(UserError, match=f"{VALID} line 2: {reason}"):
        build("cc", raw, tmp_path / "bin")
    data = DataBin(build("cc", raw, tmp_path / "bin", "--on-error", "skip"))
    assert len(data.split("valid")) == 2 and len(data.metadata["splits"]["valid"]["skipped"]) == 1


def test_bad_pattern_and_missing_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write_cc(tmp_path / "raw")
    fields = re.escape("the fields are {split}, {line}, {name}, {crc32}")
    for pattern in ("{number}.jpg", "{line", "{line:q}", "{line.x}", "{0}"):
        with pytest.raises(UserError, match=fields):
            build("cc", raw, tmp_path / "bin", "--image-name", pattern)
    (raw / VALID).unlink()
    with pytest.raises(UserError, match="no files of split 'valid'"):
        build("cc", raw, tmp_path / "bin", "--splits", "valid")
    build("cc", raw, tmp_path / "bin")
    assert f"left out: valid ({VALID})" in capsys.readouterr().err


def write_sbu(raw: Path) -> tuple[list[str], list[str]]:
    captions = [f"Picture {i} of mine." for i in range(4)]
    urls = [url(i) for i in (0, 1, 1, 3)]
    for i in (0, 1, 3):
        save_picture(raw / f"p{i}.jpg", i)
    return captions, urls


def write_sbu_json(raw: Path) -> None:
    """The newer release: one file with both lists."""
    captions, urls = write_sbu(raw)
    dump(raw / "sbu-captions-all.json", {"image_urls": urls, "user_ids": [], "captions": captions})


@pytest.mark.parametrize("kind", ["json", "txt"])
def test_sbu(tmp_path: Path, kind: str) -> None:
    raw = tmp_path / "raw"
    captions, urls = write_sbu(raw)
    if kind == "json":
        content = {"image_urls": urls, "user_ids": ["u"], "captions": captions}
        dump(raw / "sbu-captions-all.json", content)
    for name, rows in (("captions", captions), ("urls", urls)):
        text = "".join(f"{row}\n" for row in rows)
        (raw / f"SBU_captioned_photo_dataset_{name}.txt").write_text(text)
    data = DataBin(build("sbu", raw, tmp_path / "bin"))
    train = data.split("train")
    assert train.image_column.ravel().tolist() == [0, 1, 1, 2]
    assert len(set(train.array("image_id").tolist())) == 3
    assert data.dictionary.string(train.text(2)) == "Picture 2 of mine."
    assert data.images.key(2) == "p3.jpg"
    if kind == "json":
        dump(raw / "sbu-captions-all.json", {"image_urls": urls[1:], "captions": captions})
    else:
        (raw / "SBU_captioned_photo_dataset_urls.txt").write_text("\n".join(urls[1:]))
    with pytest.raises(UserError, match="holds not as many captions as addresses"):
        build("sbu", raw, tmp_path / "other")


def test_bad_sbu(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    captions, urls = write_sbu(raw)
    with pytest.raises(UserError, match="none of the expected files"):
        build("sbu", raw, tmp_path / "bin")
    (raw / "SBU_captioned_photo_dataset_captions.txt").write_text("\n".join(captions))
    with pytest.raises(UserError, match=r"_urls\.txt: missing; it holds the addresses"):
        build("sbu", raw, tmp_path / "bin")
    dump(raw / "sbu-captions-all.json", {"image_urls": urls, "captions": [None, *captions[1:]]})
    with pytest.raises(UserError, match='line 0: "caption" is not text: None'):
        build("sbu", raw, tmp_path / "bin")
    (raw / "p3.jpg").unlink()
    data = DataBin(build("sbu", raw, tmp_path / "bin", "--on-error", "skip"))
    assert [item["record"].rpartition(" ")[2] for item in
            data.metadata["splits"]["train"]["skipped"]] == ["0", "3"]  # fmt: skip
