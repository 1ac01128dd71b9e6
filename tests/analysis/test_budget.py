"""The budget tables, figure by figure as printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mt_fairseq.analysis import published
from mt_fairseq.analysis.__main__ import main
from mt_fairseq.analysis.budget import latency_text
from mt_fairseq.analysis.flops import Inputs
from mt_fairseq.analysis.latency import latency_rows
from mt_fairseq.errors import UserError
from tests.support import ROOT

REFERENCE_ROWS = {
    "METER": "METER",
    "METER_fusion": "METER, weighted layers",
    "BT": "BridgeTower",
    "MT-SAUE": "ManagerTower SAUE",
    "MT-AAUE": "ManagerTower AAUE",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("budget") / "budget.json"


@pytest.fixture(scope="module")
def printed(written: Path) -> str:
    """What the command prints; it also writes ``written``."""
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda text: lines.append(text))
        assert main(["budget", "--json", str(written)]) == 0
    return "\n".join(lines)


@pytest.fixture(scope="module")
def budget(printed: str, written: Path) -> dict[str, Any]:
    return json.loads(written.read_text())


def by_name(budget: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in budget["models"]}


@pytest.mark.parametrize("name", published.TABLE_6)
def test_table_6_to_the_printed_digit(budget: dict[str, Any], name: str) -> None:
    row = by_name(budget)[name]
    counted = (row["parameters_papers"] / 1e6, row["multiply_adds_papers"] / 1e9)
    assert tuple(f"{value:.2f}" for value in counted) == published.TABLE_6[name]


@pytest.mark.parametrize("name", published.REFERENCE_CODE)
def test_the_official_code_to_the_parameter(budget: dict[str, Any], name: str) -> None:
    row = by_name(budget)[name]
    parameters, giga = published.REFERENCE_CODE[name]
    assert row["parameters_papers"] == parameters
    assert f"{row['multiply_adds_papers'] / 1e9:.3f}" == giga


def test_figures_of_the_official_code_are_typed_in_right(shared_dir: Path) -> None:
    content = json.loads((shared_dir / "golden" / "param_counts.json").read_text())
    for key, name in REFERENCE_ROWS.items():
        row = content["models"][key]
        giga = f"{row['multiply_adds_G']['384']:.3f}"
        assert published.REFERENCE_CODE[name] == (row["parameters_without_task_heads"], giga)
    table = {"BT": "BridgeTower", "MT-SAUE": "ManagerTower SAUE", "MT-AAUE": "ManagerTower AAUE"}
    for key, name in table.items():
        row = content["paper_table_6"][key]
        printed = (f"{row['parameters_M']:.2f}", f"{row['multiply_adds_G']:.2f}")
        assert published.TABLE_6[name] == printed


def test_at_pre_training_size(budget: dict[str, Any]) -> None:
    """Where both conventions agree, param_counts.json also has 288x288."""
    rows = {row["name"]: row["multiply_adds"] for row in budget["architectures"]}
    assert f"{rows['meter_base'] / 1e9:.2f}" == "56.85"
    assert f"{rows['bridgetower_base'] / 1e9:.3f}" == "57.971"


def test_ours_is_never_more_than_the_papers(budget: dict[str, Any]) -> None:
    for row in budget["models"]:
        assert row["parameters"] < row["parameters_papers"]
        shared = row["name"].startswith("ManagerTower")
        assert (row["multiply_adds"] < row["multiply_adds_papers"]) == shared, row["name"]


def test_bridges(budget: dict[str, Any]) -> None:
    """As printed but for (c): 26,112, printed as 18.4K and 7.6K (of 7,680)."""
    assert {row["letter"] for row in budget["bridges"]} == set("abcdefghi")
    for row in budget["bridges"]:
        assert row["counted"] == ("26.1K" if row["letter"] == "c" else row["printed"])
    third = next(row for row in budget["bridges"] if row["letter"] == "c")
    assert third["parameters"] == 12 * 2 * 768 + 10 * 768


def test_cross_modal_layers(budget: dict[str, Any]) -> None:
    """As printed but for 3 and 5 layers, which are 0.1M more there."""
    for row in budget["layers"]:
        slip = 0.1 if row["layers"] in (3, 5) else 0.0
        assert f"{row['parameters'] / 1e6 + slip:.1f}" == row["printed"]


def test_parts(budget: dict[str, Any]) -> None:
    """The print cuts the fraction off; the large cross-modal encoder stands there as 200M."""
    for row in budget["parts"]:
        counted = str(int(row["parameters"] / 1e6))
        assert counted == ("201" if row["part"].startswith("large: cross") else row["printed"])
    for size, total in (("base", 323), ("large", 859)):
        assert (
            sum(int(r["printed"]) for r in budget["parts"] if r["part"].startswith(size)) == total
        )


def test_readme_shows_what_the_command_prints(printed: str) -> None:
    text = (ROOT / "examples" / "budget" / "README.md").read_text(encoding="utf-8")
    assert "python -m mt_fairseq.analysis budget" in text
    assert printed in text


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        main(["budget", "--json", str(tmp_path / "none" / "x.json")])
    with pytest.raises(UserError, match="invalid choice: 'budgets'"):
        main(["budgets"])


def test_latency_is_the_median_of_ratios_within_a_round() -> None:
    tiny = {"BridgeTower": ("bridgetower_tiny", {}), "ManagerTower AAUE": ("managertower_tiny", {})}
    rows = latency_rows(tiny, Inputs((32, 32), 8, 100), 5, "cpu")
    baseline, manager = rows
    assert baseline.ratio == baseline.table_6_ratio == 1
    assert manager.table_6_ratio == pytest.approx(43.20 / 39.43)
    for row in rows:
        assert 0 < row.lowest <= row.milliseconds <= row.highest
    assert 0.2 < manager.ratio < 20
    assert "| ManagerTower AAUE |" in latency_text(rows, 5, "cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--device", "nowhere"], "--device nowhere: not usable here"),
        (["--latency", "-1"], "--latency -1: must be at least 0"),
    ],
)
def test_what_cannot_be_timed_is_said_first(options: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(["budget", *options])
