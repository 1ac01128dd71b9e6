"""JSON that Python's parser fails on: deep nesting and long numbers, in each kind of file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, dump, write_jsonl, write_vqa
from .raw_tasks import write_flickr30k
from .test_refcoco import refs_of, write_refcoco

DEEP = "[" * 100_000 + "]" * 100_000
LONG = "1" * 5000


def _skipped(data: DataBin) -> list[dict[str, Any]]:
    return list(data.metadata["splits"]["train"]["skipped"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (DEEP, "is not valid JSON (column 35: nested too deeply)"),
        (LONG, '"id" is neither a whole number nor text: inf'),
        (f"-{LONG}", '"id" is neither a whole number nor text: -inf'),
    ],
)
def test_a_line_is_one_bad_record(tmp_path: Path, value: str, reason: str) -> None:
    raw = write_jsonl(tmp_path / "raw", captions(3))
    with open(raw / "train.jsonl", "a") as lines:
        lines.write(f'{{"image":"000.jpg","text":"x","id":{value}}}\n')
    data = DataBin(build("jsonl", raw, tmp_path / "bin", "--on-error", "skip"))
    (skipped,) = _skipped(data)
    assert skipped["record"] == "train.jsonl line 4" and len(data.split("train")) == 3
    assert skipped["reason"].partition(" (column")[0] == reason.partition(" (column")[0]
    with pytest.raises(UserError, match=r"train\.jsonl line 4: "):
        build("jsonl", raw, tmp_path / "other")


def _replaced(path: Path, mark: str, value: str) -> None:
    """Put a value where the file has a text."""
    text = path.read_text()
    assert text.count(f'"{mark}"') == 1
    path.write_text(text.replace(f'"{mark}"', value))


def test_an_entry_of_a_long_file_is_one_bad_record(tmp_path: Path) -> None:
    raw = write_flickr30k(tmp_path / "raw")
    path = raw / "dataset_flickr30k.json"
    content = json.loads(path.read_text())
    content["images"][0]["imgid"] = content["images"][2]["unused"] = "HERE"
    dump(path, content)
    path.write_text(path.read_text().replace('"HERE"', LONG))
    data = DataBin(build("flickr30k", raw, tmp_path / "bin", "--on-error", "skip"))
    (skipped,) = _skipped(data)
    assert skipped["record"] == "dataset_flickr30k.json: images[0]" and len(data.images) == 5


@pytest.mark.parametrize("where", ["before", "in"])
def test_deep_nesting_is_a_fault_of_the_file(tmp_path: Path, where: str) -> None:
    raw = write_vqa(tmp_path / "raw", images=3, test=False)
    path = raw / "v2_OpenEnded_mscoco_train2014_questions.json"
    content = json.loads(path.read_text())
    if where == "in":
        content["questions"][1]["question"] = "HERE"
    dump(path, {"info": {"x": "HERE"}, **content} if where == "before" else content)
    _replaced(path, "HERE", DEEP)
    with pytest.raises(UserError, match=r"questions\.json: not valid JSON .*nested too deeply"):
        build("vqav2", raw, tmp_path / "bin", "--on-error", "skip")


def test_files_that_are_read_whole(tmp_path: Path) -> None:
    raw = write_refcoco(tmp_path / "raw")
    (raw / "refs(unc).p").unlink()
    refs = refs_of()
    refs[0]["ann_id"] = "HERE"
    dump(raw / "refs(unc).json", refs)
    _replaced(raw / "refs(unc).json", "HERE", LONG)
    data = DataBin(build("refcoco", raw, tmp_path / "bin", "--on-error", "skip"))
    assert _skipped(data)[0] == {
        "record": "refs[0]", "reason": '"ann_id" is not a whole number: inf'}  # fmt: skip
    (raw / "dets.json").write_text(f'{{"1": [[{LONG}, 1, 2, 3]]}}')
    with pytest.raises(UserError, match=r'dets\.json: picture 1: "box" is not a box of four'):
        build("refcoco", raw, tmp_path / "other")
    (raw / "refs(unc).json").write_text(DEEP)
    with pytest.raises(UserError, match=r"refs\(unc\)\.json: not valid JSON .*nested too deeply"):
        build("refcoco", raw, tmp_path / "other")
