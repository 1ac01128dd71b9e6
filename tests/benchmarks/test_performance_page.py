"""docs/performance.md says what the result files say, and explains every missed target."""

from __future__ import annotations

import re

from benchmarks import summary
from benchmarks.registry import load_all
from benchmarks.result import lines_of


def test_the_table_is_that_of_the_result_files() -> None:
    _, found, _ = summary.parts(summary.PAGE.read_text())
    assert found == summary.table(), "run `python -m benchmarks.summary`"


def test_every_benchmark_has_a_result_and_every_result_a_benchmark() -> None:
    assert set(summary.all_results()) == set(load_all())


def test_results_are_whole_and_say_nothing_of_whose_machine_it_was() -> None:
    for name, result in summary.all_results().items():
        assert result["machine"]["processor"] and result["machine"]["cores"], name
        for line in lines_of(result):
            assert line.keys() >= {"name", "ratio", "target", "met", "runs"}, line
            assert line["name"].split(".")[0] == name
        assert not re.search(r"/(home|root|work|tmp)/", str(result)), name


def test_every_missed_target_is_explained() -> None:
    _, _, after = summary.parts(summary.PAGE.read_text())
    for name in summary.missed():
        assert f"**{name}**" in after, f"docs/performance.md does not say why {name} is missed"
