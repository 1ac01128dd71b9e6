"""``python -m benchmarks.summary``: write the table of docs/performance.md from benchmarks/results.

A test compares the page with the files, so that neither goes stale.
"""

from __future__ import annotations

import json
from typing import Any

from benchmarks.measure import ROOT
from benchmarks.result import lines_of, number

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table: python -m benchmarks.summary -->", "<!-- end of table -->"
HEAD = [
    "| line | what, beside what | ratio | target | met | command |",
    "| --- | --- | ---: | ---: | --- | --- |",
]


def all_results() -> dict[str, dict[str, Any]]:
    """The JSON of every benchmark that has been run for this page, by name."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    return {name: result for name, result in found.items() if "runs" in result}


def table() -> str:
    """One row a line of every result."""
    rows = [row(name, line) for name, result in all_results().items() for line in lines_of(result)]
    return "\n".join([BEGIN, *HEAD, *rows, END])


def row(name: str, line: dict[str, Any]) -> str:
    """A line of a result as a row of the table."""
    sign = "≥" if line["better"] == "higher" else "≤"
    subject = line["ours"]
    if line["peer"] is not None:
        subject += f" / {line['peer']}"
    if line["target_of"] == "ratio":
        reached, target = f"{line['ratio']:.4g}", f"{sign} {line['target']:g}"
    else:
        reached = f"{number(line['median'])} {line['unit']}"
        target = f"{sign} {number(line['target'])} {line['unit']}"
    met = "yes" if line["met"] else "**no**"
    return (
        f"| {line['name']} | {subject} | {reached} | {target} | {met} "
        f"| `python -m benchmarks {name}` |"
    )


def parts(page: str) -> tuple[str, str, str]:
    """The page before the table, the table, and after it.

    Raises:
        ValueError: the marks are not there.
    """
    before, found, rest = page.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not found or not end:
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    return before, BEGIN + inside + END, after


def missed() -> list[str]:
    """Names of the lines whose target is missed."""
    lines = [line for result in all_results().values() for line in lines_of(result)]
    return [line["name"] for line in lines if not line["met"]]


def main() -> None:
    """Rewrite the table, leave the rest of the page alone."""
    before, _, after = parts(PAGE.read_text())
    PAGE.write_text(before + table() + after)


if __name__ == "__main__":
    main()
