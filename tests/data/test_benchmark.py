"""The benchmark runs and reports in its form; its target is checked where a machine is quiet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import image_pack_read
from benchmarks.__main__ import main
from benchmarks.registry import register_benchmark


def test_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_pack_read, "IMAGES", 50)
    monkeypatch.setattr(image_pack_read, "READS", 500)
    main(["image_pack_read", "--rounds", "3", "--json", str(tmp_path / "out.json")])
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"name", "ratio", "target", "met", "runs", "machine"} <= set(result)
    assert all(len(rates) == 3 for rates in result["runs"].values()) and result["ratio"] > 1
    assert "times the peer" in capsys.readouterr().out


def test_names_are_unique_and_known() -> None:
    with pytest.raises(ValueError, match="two benchmarks"):
        register_benchmark("image_pack_read", "")(image_pack_read.image_pack_read)
    with pytest.raises(SystemExit):
        main(["no_such_benchmark"])
