"""The sweep's comparison, and a sweep for two updates with fairseq's commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from examples.sweep.report import compare
from examples.sweep.run import main
from mt_fairseq.errors import UserError


def test_comparison_is_paired() -> None:
    """Questions differ much, models little and alike: bounds are those of the difference."""
    rng = np.random.default_rng(0)
    images = list(np.repeat(np.arange(100), 4))
    base = np.stack([(rng.random(400) < 0.5).astype(float)] * 3)
    better = base.copy()
    better[:, base[0] == 0] = np.where(rng.random((base[0] == 0).sum()) < 0.1, 1.0, 0.0)
    better[2] = base[2]  # the third seed has gained nothing
    comparison = compare({"saue": better, "bridgetower": base}, images, [1, 2, 3], 10)
    row = comparison.rows[0]
    assert comparison.baseline == "bridgetower"
    assert row.differences is not None and row.difference is not None
    assert row.differences[2] == 0.0 and row.differences[0] == pytest.approx(row.differences[1])
    mean, low, high = row.difference
    assert mean == pytest.approx(np.mean(row.differences))
    assert 0 < low < mean < high < 8  # unpaired, the bounds would be ten points apart
    assert row.spread == pytest.approx(np.std(row.scores, ddof=1))
    assert comparison.rows[1].difference is None
    text = comparison.text()
    assert "400 held-out questions" in text and f"{mean:+.2f}" in text and "- BridgeTower" in text


def test_a_single_seed_has_no_spread() -> None:
    values = np.ones((1, 4))
    comparison = compare({"meter": values, "sae": values}, [1, 1, 2, 2], [7], 1)
    assert comparison.baseline == "meter"
    assert comparison.rows[0].spread is None
    assert "| - " in comparison.text() or "  - |" in comparison.text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--updates", "0"], "--updates 0"),
        (["--seeds", "1", "1"], "--seeds names"),
        (["--data", "no/such/bin"], "no/such/bin"),
    ],
)
def test_mistakes_come_before_any_work(arguments: list[str], words: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words):
        main([*arguments, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_data_without_answers(caption_bin: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no answers"):
        main(["--data", str(caption_bin), "--out", str(tmp_path / "out")])


@pytest.mark.slow
def test_a_small_sweep(vqa_bin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep"
    arguments = [
        "--data", str(vqa_bin), "--out", str(out), "--updates", "2", "--seeds", "1",
        "--batch-size", "4", "--image-size", "32", "--models", "meter",
    ]  # fmt: skip
    assert main(arguments) == 0
    first = capsys.readouterr().out
    assert first.count("$ fairseq-train") == first.count("$ fairseq-generate") == 1
    assert "done before" not in first
    results = json.loads((out / "results.json").read_text())
    assert (results["questions"], results["updates"], results["seeds"]) == (7, 2, [1])
    assert [row["model"] for row in results["rows"]] == ["meter"]
    assert all(0 <= row["mean"] <= 100 for row in results["rows"])
    last = (out / "runs/meter-seed1/answers/generate-valid.txt").read_text().splitlines()[-1]
    assert f"{results['rows'][0]['mean']:.2f}" in last
    assert main([*arguments, "saue"]) == 0
    second = capsys.readouterr().out
    assert second.count("done before") == 2
    assert second.count("   took ") == 2
    assert "| SAUE" in (out / "table.md").read_text()
