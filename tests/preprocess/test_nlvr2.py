"""NLVR2: two pictures a sentence, train with directories, balanced and unbalanced subsets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, digest
from .raw_tasks import nlvr2_rows, write_lines, write_nlvr2


def test_all_splits(tmp_path: Path) -> None:
    data = DataBin(build("nlvr2", write_nlvr2(tmp_path / "raw"), tmp_path / "bin"))
    assert {name: len(data.split(name)) for name in data.splits} == {
        "train": 12, "valid": 4, "test": 4, "valid-balanced": 3, "valid-unbalanced": 1,
        "test-balanced": 3, "test-unbalanced": 1}  # fmt: skip
    assert data.labels == ["False", "True"]
    train = data.split("train")
    assert train.array("label").tolist() == [1, 0, 0, 1] * 3
    assert train.sample_id(5) == train.value("identifier", 5) == "train-1-1-0"
    keys = [data.images.key(int(i)) for i in train.images(5)]
    assert keys == ["images/train/1/train-1-1-img0.png", "images/train/1/train-1-1-img1.png"]
    assert train.images(5).tolist() == train.images(7).tolist() == [6, 7]
    # pictures of a pair are stored once, whatever the sentences and subsets
    assert len(data.images) == 12 + 4 + 4
    subset = data.split("valid-unbalanced")
    assert subset.images(0).tolist() == data.split("valid").images(3).tolist()


def test_lines_in_a_clone_of_the_repository(tmp_path: Path) -> None:
    raw = write_nlvr2(tmp_path / "raw")
    plain = digest(build("nlvr2", raw, tmp_path / "a"))
    (raw / "nlvr2").mkdir()
    shutil.move(raw / "data", raw / "nlvr2" / "data")
    assert digest(build("nlvr2", raw, tmp_path / "b")) == plain


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": "Maybe"}, "its label 'Maybe' is none of False, True"),
        ({"label": 1}, '"label" is not text: 1'),
        ({"identifier": "train-0-1"}, "its identifier 'train-0-1' is not split-set-pair-sentence"),
        ({"identifier": "train-9-0-0"}, "image images/train/0/train-9-0-img0.png is missing"),
        ({"identifier": "train-0-0-0"}, "its id 'train-0-0-0' was taken by train.json line 1"),
        ({"directory": 7}, "image images/train/7/train-0-1-img0.png is missing"),
        ({"directory": ...}, 'lacks "directory"'),
        ({"sentence": ""}, "its text is empty"),
    ],
)
def test_bad_record(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    raw = write_nlvr2(tmp_path / "raw")
    rows = nlvr2_rows("train", 3)
    rows[1].update(change)
    rows[1] = {name: value for name, value in rows[1].items() if value is not ...}
    write_lines(raw / "data" / "train.json", rows)
    with pytest.raises(UserError) as error:
        build("nlvr2", raw, tmp_path / "bin")
    assert f"train.json line 2: {reason}" in str(error.value)
    data = DataBin(build("nlvr2", raw, tmp_path / "bin", "--on-error", "skip"))
    skipped = data.metadata["splits"]["train"]["skipped"]
    assert [item["record"] for item in skipped] == ["train.json line 2"]
    assert skipped[0]["reason"].startswith(reason) and len(data.split("train")) == 11


def test_missing_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = write_nlvr2(tmp_path / "raw")
    (raw / "data" / "test1.json").unlink()
    with pytest.raises(UserError, match=r"no files of split 'test' in .*there are train, valid"):
        build("nlvr2", raw, tmp_path / "bin", "--splits", "test")
    build("nlvr2", raw, tmp_path / "bin")
    assert "left out: test (data/test1.json)\n" in capsys.readouterr().err
