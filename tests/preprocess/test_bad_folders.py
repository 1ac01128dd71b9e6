"""Wrong folders never make an empty dataset."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from preprocess.__main__ import main
from preprocess.datasets import READERS

from .raw import build, captions, write_jsonl, write_vqa


@pytest.mark.parametrize("dataset", sorted(READERS))
def test_wrong_folder_is_never_an_empty_dataset(tmp_path: Path, dataset: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"none of the expected files is there \(RAW/"):
        build(dataset, tmp_path / "empty", tmp_path / "bin", "--on-error", "skip")
    with pytest.raises(UserError, match="no such folder"):
        build(dataset, tmp_path / "none", tmp_path / "bin")
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize("dataset", sorted(READERS))
def test_help_says_where_files_come_from_and_how_they_lie(
    dataset: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([dataset, "--help"])
    out = capsys.readouterr().out
    assert "expects:" in out and "RAW/" in out
    assert ("from:" in out and "https://" in out) == (dataset != "jsonl")


def test_wrong_image_root_is_never_an_empty_dataset(tmp_path: Path) -> None:
    raw = write_vqa(tmp_path / "raw", test=False)
    (tmp_path / "else").mkdir()
    with pytest.raises(UserError, match=r"none of the 36 records of split 'train'.*else.*be used"):
        build("vqav2", raw, tmp_path / "bin", "--image-root", tmp_path / "else",
              "--on-error", "skip")  # fmt: skip


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
