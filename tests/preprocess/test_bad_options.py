"""Mistakes in options: one line, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.errors import UserError

from .raw import build, captions, write_jsonl, write_vqa


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--shard", "0/4"], "--shard 0/4: write I/N"),
        (["--shard", "5/4"], "--shard 5/4"),
        (["--workers", 0], "--workers 0: must be at least 1"),
        (["--resize", 0], "--resize 0"),
        (["--splits", "dev"], "no files of split 'dev' in .*there are train"),
        (["--resume", "--overwrite"], "not both"),
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
        ("a.txt", "blue\nRed\nred.\n", "'Red' and 'red.' are one answer once norm.*, 'red'"),
        ("a.json", '["the", "blue", ""]', "'the' and '' are one answer once normalised, ''"),
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
