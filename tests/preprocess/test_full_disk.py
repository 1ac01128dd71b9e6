"""A full disk and a place that cannot be written: one line, and --resume goes on."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError

from .raw import build, captions, write_jsonl


def limited(size: int) -> Callable[[], None]:
    """Let no file grow beyond ``size`` bytes, as a full quota would."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


PACK = "images/00000.h5"


@pytest.mark.parametrize(("limit", "name"), [(20_000, PACK), (8_000, PACK), (600, "")])
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
