"""The harness of benchmarks: registry, ratios and verdicts, JSON and table, ``all``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from benchmarks import image_pack_read, measure
from benchmarks.__main__ import main
from benchmarks.all_small import run_all
from benchmarks.registry import BENCHMARKS, load_all, register_benchmark
from benchmarks.result import Result, lines_of
from mt_fairseq.errors import UserError

NEEDED = {"name", "ratio", "target", "met", "runs"}


def times(ours: list[float], peer: list[float], target: float) -> Result:
    return Result("t", "s", "ours", "peer", target, {"ours": ours, "peer": peer}, better="lower")


@pytest.fixture
def trivial(monkeypatch: pytest.MonkeyPatch) -> str:
    def run(args: argparse.Namespace) -> list[Result]:
        runs = measure.in_turns({"sum": lambda: sum(range(10)), "loop": busy}, args.rounds)
        bound = Result("trivial.bound", "MiB", "sum", None, 7, {"sum": [5.0]}, "lower", "median")
        return [Result("trivial", "s", "sum", "loop", 0.5, runs, better="lower"), bound]

    monkeypatch.setattr("benchmarks.registry.BENCHMARKS", dict(BENCHMARKS))
    register_benchmark("trivial", "adds ten numbers", rounds=3)(run)
    return "trivial"


def busy() -> None:
    for _ in range(20_000):
        pass


def test_ratio_is_the_median_over_rounds_and_decides() -> None:
    assert times([1, 2, 9], [2, 2, 3], 1.0).ratio == 1.0  # 0.5, 1.0, 3.0
    assert times([1, 2, 9], [2, 2, 3], 1.0).met and not times([1, 2, 9], [2, 2, 3], 0.9).met
    rate = Result("r", "a second", "ours", "peer", 1.5, {"ours": [3.0], "peer": [2.0]})
    assert rate.met and not Result(**{**vars(rate), "target": 1.51}).met
    bound = Result("b", "s", "ours", None, 2.0, {"ours": [1.0, 3.0, 1.5]}, "lower", "median")
    assert bound.met and bound.ratio == 0.75
    with pytest.raises(ValueError, match="needs a peer"):
        Result("b", "s", "ours", None, 2.0, {"ours": [1.0]})


def test_json_and_table(trivial: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "out.json"
    main([trivial, "--json", str(path)])
    found = json.loads(path.read_text())
    assert found.keys() >= NEEDED and found["met"]
    assert all(len(values) == 3 for values in found["runs"].values())
    assert [line["name"] for line in lines_of(found)] == ["trivial", "trivial.bound"]
    assert all(line.keys() >= NEEDED for line in found["lines"])
    machine = found["machine"]
    assert machine.keys() >= {"processor", "cores", "memory_gib", "torch", "python"}
    out = capsys.readouterr().out
    assert "target at most 0.5 times: met" in out and "target at most 7 MiB: met" in out


def test_rounds_are_the_users(trivial: str, tmp_path: Path) -> None:
    main([trivial, "--rounds", "5", "--json", str(tmp_path / "out.json")])
    assert len(json.loads((tmp_path / "out.json").read_text())["runs"]["sum"]) == 5
    with pytest.raises(UserError, match="--rounds 0: must be at least 1"):
        main([trivial, "--rounds", "0"])


def test_names_are_unique_and_unknown_ones_get_a_list() -> None:
    with pytest.raises(ValueError, match="two benchmarks"):
        register_benchmark("image_pack_read", "")(image_pack_read.image_pack_read)
    with pytest.raises(UserError, match=r"no benchmark 'nothing'.*image_pack_read.*or all"):
        main(["nothing"])


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "examples:" in out and all(f"\n{name}: " in out for name in load_all())


def test_all_goes_on_after_a_failure(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(measure.ROOT)
    assert run_all(["no_such_benchmark", "image_pack_read"], tmp_path, rounds=1) == 1
    out, err = capfd.readouterr()
    assert "failed: no_such_benchmark" in err
    assert json.loads((tmp_path / "image_pack_read.json").read_text()).keys() >= NEEDED
    assert "image_pack_read" in out.split("== all")[1]


def test_memory_of_a_process_of_its_own() -> None:
    found = measure.in_own_process("tests.benchmarks.take_memory", 64)
    assert 63 <= found["peak"] - found["before"] < 80
    with pytest.raises(RuntimeError, match="take_memory many failed"):
        measure.in_own_process("tests.benchmarks.take_memory", "many")
