"""The benchmark runs and all its ways read the same; its target counts on a quiet machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import image_pack_read
from benchmarks.__main__ import main


def test_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(image_pack_read, "IMAGES", 50)
    monkeypatch.setattr(image_pack_read, "READS", 500)
    main(["image_pack_read", "--rounds", "3", "--json", str(tmp_path / "out.json")])
    result = json.loads((tmp_path / "out.json").read_text())
    assert all(len(rates) == 3 for rates in result["runs"].values()) and result["ratio"] > 1
    assert "times the peer" in capsys.readouterr().out
