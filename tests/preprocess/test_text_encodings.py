"""Text files with a byte-order mark are read as those without; UTF-16 is one clear line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.files import read_json
from mt_fairseq.errors import UserError

from .raw import build, captions, digest, dump, write_jsonl, write_vqa
from .raw_tasks import snli_ve_rows, write_esnlive, write_flickr30k, write_snli_ve
from .test_refcoco import refs_of, write_refcoco
from .test_web_captions import write_cc


def _answers(raw: Path) -> Path:
    write_vqa(raw, images=3, test=False)
    (raw / "list.txt").write_text("red\ngreen\n")
    dump(raw / "list.json", ["red", "green"])
    return raw


def _refcoco(raw: Path) -> Path:
    (write_refcoco(raw) / "refs(unc).p").unlink()
    dump(raw / "refs(unc).json", refs_of())
    dump(raw / "dets.json", {str(i): [[1, 1, 5, 5]] for i in range(4)})
    return raw


def _esnlive(raw: Path) -> Path:
    """With the pictures of the other release."""
    for path in write_snli_ve(raw).glob("*.jsonl"):
        path.unlink()
    return write_esnlive(raw, snli_ve_rows(10, 4))


CASES: dict[str, tuple[str, Callable[[Path], Path], list[str], list[str]]] = {
    "lines": ("jsonl", lambda raw: write_jsonl(raw, captions(3)), ["train.jsonl"], []),
    "table": ("cc", write_cc, ["Train_GCC-training.tsv"], []),
    "csv": ("snli_ve", _esnlive, ["esnlive_train.csv"], []),
    "stream": ("flickr30k", write_flickr30k, ["dataset_flickr30k.json"], []),
    "whole": ("refcoco", _refcoco, ["refs(unc).json", "instances.json", "dets.json"], []),
    "list.txt": ("vqav2", _answers, ["list.txt"], ["--answer-list", "list.txt"]),
    "list.json": ("vqav2", _answers, ["list.json"], ["--answer-list", "list.json"]),
}


@pytest.mark.parametrize("case", CASES)
def test_byte_order_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    dataset, write, names, options = CASES[case]
    raw = write(tmp_path / "raw")
    monkeypatch.chdir(raw)
    plain = digest(build(dataset, raw, tmp_path / "a", *options))
    for name in names:
        (raw / name).write_bytes(codecs.BOM_UTF8 + (raw / name).read_bytes())
    assert digest(build(dataset, raw, tmp_path / "b", *options)) == plain


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("case", CASES)
def test_other_encodings_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, encoding: str
) -> None:
    dataset, write, names, options = CASES[case]
    raw = write(tmp_path / "raw")
    monkeypatch.chdir(raw)
    for name in names:
        text = (raw / name).read_text(encoding="utf-8")
        (raw / name).write_text(text, encoding=encoding)
        with pytest.raises(UserError) as error:
            build(dataset, raw, tmp_path / "bin", *options, "--on-error", "skip")
        assert name in str(error.value) and "save it as UTF-8 text" in str(error.value)
        (raw / name).write_text(text, encoding="utf-8")


def test_classes_of_a_list_with_a_mark(tmp_path: Path) -> None:
    raw = _answers(tmp_path / "raw")
    (raw / "list.txt").write_bytes(codecs.BOM_UTF8 + b"red\r\ngreen\r\n")
    data = DataBin(build("vqav2", raw, tmp_path / "bin", "--answer-list", raw / "list.txt"))
    assert data.labels == ["red", "green"] and data.split("train").value("label", 0) == 0


def test_half_a_surrogate_pair_in_a_list(tmp_path: Path) -> None:
    raw = _answers(tmp_path / "raw")
    dump(raw / "list.json", ["red", "\ud83d"])
    with pytest.raises(UserError, match=r"--answer-list .*list\.json: must hold answers"):
        build("vqav2", raw, tmp_path / "bin", "--answer-list", raw / "list.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, r"x\.json: not valid JSON \(line 1, column 1: nested too deeply\)"),
        ('{"a": [1, 2}', r"x\.json: not valid JSON \(line 1, column 12"),
    ],
)
def test_faults_of_whole_files(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=reason):
        read_json(tmp_path / "x.json")


def test_mark_before_a_whole_file(tmp_path: Path) -> None:
    content = {"a": "ä", "long": int("1" * 400)}
    (tmp_path / "x.json").write_bytes(codecs.BOM_UTF8 + json.dumps(content).encode())
    assert read_json(tmp_path / "x.json") == content
