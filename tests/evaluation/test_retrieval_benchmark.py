"""The benchmark of ranking runs, and both of its ways agree (it checks that itself)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import retrieval
from benchmarks.__main__ import main


def test_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WIDTH": 64, "LAYERS": 2, "IMAGE_SIZE": 32, "IMAGES": 6}.items():
        monkeypatch.setattr(retrieval, name, value)
    main(["retrieval", "--rounds", "2", "--json", str(tmp_path / "out.json")])
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"name", "ratio", "target", "met", "runs", "machine"} <= set(result)
    assert all(len(rates) == 2 for rates in result["runs"].values())
    assert result["met"] == (result["ratio"] >= 1.5)
    assert "target at least 1.5 times" in capsys.readouterr().out
