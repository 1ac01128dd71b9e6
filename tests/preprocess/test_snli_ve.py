"""SNLI-VE in its two releases, and e-SNLI-VE."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, digest
from .raw_tasks import snli_ve_rows, write_esnlive, write_lines, write_snli_ve


def test_later_release(tmp_path: Path) -> None:
    data = DataBin(build("snli_ve", write_snli_ve(tmp_path / "raw"), tmp_path / "bin"))
    assert {name: len(data.split(name)) for name in data.splits} == {
        "train": 12, "valid": 6, "test": 6}  # fmt: skip
    assert data.labels == ["contradiction", "neutral", "entailment"]  # METER's label2id
    train = data.split("train")
    assert train.array("label").tolist() == [2, 1, 0] * 4
    assert train.array("image_id").tolist() == [10] * 3 + [11] * 3 + [12] * 3 + [13] * 3
    assert train.sample_id(1) == "10.jpg#0r1n" and len(data.images) == 8
    assert data.dictionary.string(train.text(0)) == "Hypothesis entailment of 10."
    assert data.images.key(int(train.images(3)[0])) == "flickr30k-images/11.jpg"


def test_older_release_and_csv_give_the_same(tmp_path: Path) -> None:
    raw = write_snli_ve(tmp_path / "raw")
    options = ("--splits", "train", "--image-root", raw)
    expected = digest(build("snli_ve", raw, tmp_path / "bin", *options))
    older = [{"Flikr30kID": f"{row.pop('Flickr30K_ID')}.jpg", **row} for row in snli_ve_rows(10, 4)]
    write_lines(tmp_path / "older" / "snli_ve_train.jsonl", older)
    assert digest(build("snli_ve", tmp_path / "older", tmp_path / "a", *options)) == expected
    write_esnlive(tmp_path / "csv", snli_ve_rows(10, 4))
    assert digest(build("snli_ve", tmp_path / "csv", tmp_path / "b", *options)) == expected


def test_which_release_is_read(tmp_path: Path) -> None:
    raw = write_esnlive(write_snli_ve(tmp_path / "raw"), snli_ve_rows(10, 1))
    sizes = {}
    for kind in ("auto", "snli_ve", "esnlive"):
        data = DataBin(build("snli_ve", raw, tmp_path / kind, "--annotations", kind))
        sizes[kind] = {name: len(data.split(name)) for name in data.splits}
    assert sizes["auto"] == sizes["snli_ve"] == {"train": 12, "valid": 6, "test": 6}
    assert sizes["esnlive"] == {"train": 3}


def test_pictures_beside_each_other(tmp_path: Path) -> None:
    """--image-root may name the folder of the photographs itself."""
    raw = write_snli_ve(tmp_path / "raw")
    pictures = raw / "flickr30k-images"
    plain = digest(build("snli_ve", raw, tmp_path / "a"))
    assert digest(build("snli_ve", raw, tmp_path / "b", "--image-root", pictures)) == plain


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"gold_label": "-"}, "its label '-' is none of contradiction, neutral, entailment"),
        ({"gold_label": None}, '"gold_label" is not text: None'),
        ({"Flickr30K_ID": ""}, "the picture's number is ''"),
        ({"Flickr30K_ID": "../1"}, "the picture's number is '../1'"),
        ({"Flickr30K_ID": "77"}, "image flickr30k-images/77.jpg is missing"),
        ({"sentence2": " "}, "its text is empty"),
        ({"pairID": None}, '"pairID" is neither a whole number nor text: None'),
        ({"pairID": "20.jpg#0r1n"}, "its id '20.jpg#0r1n' was taken by"),
    ],
)
def test_bad_record(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    raw = write_snli_ve(tmp_path / "raw")
    rows = snli_ve_rows(20, 2)
    rows[4].update(change)
    write_lines(raw / "snli_ve_dev.jsonl", rows)
    with pytest.raises(UserError) as error:
        build("snli_ve", raw, tmp_path / "bin")
    assert f"snli_ve_dev.jsonl line 5: {reason}" in str(error.value)
    assert "1 of 6 records of split 'valid'" in str(error.value)
    data = DataBin(build("snli_ve", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["valid"]["skipped"]
    assert [item["record"] for item in skipped] == ["snli_ve_dev.jsonl line 5"]
    assert skipped[0]["reason"].startswith(reason)
    assert len(data.split("valid")) == 5


def test_missing_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write_snli_ve(tmp_path / "raw")
    (raw / "snli_ve_dev.jsonl").unlink()
    with pytest.raises(UserError, match=r"--splits train,valid: no files of split 'valid' in"):
        build("snli_ve", raw, tmp_path / "bin", "--splits", "train,valid")
    build("snli_ve", raw, tmp_path / "bin")
    assert "not there, so left out: valid (snli_ve_dev.jsonl)\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a,b\n1,2\n", r"esnlive_dev\.csv: its head lacks pairID, Flickr30kID"),
        (b"", r"esnlive_dev\.csv: its head lacks"),
        (b"pairID,Flickr30kID,hypothesis,gold_label\n\xff\n", r"esnlive_dev\.csv: not UTF-8 text"),
    ],
)
def test_bad_csv(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "esnlive_dev.csv").write_bytes(content)
    with pytest.raises(UserError, match=reason):
        build("snli_ve", tmp_path / "raw", tmp_path / "bin")
