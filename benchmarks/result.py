"""The form of a benchmark's results: JSON for programs, a table for people."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal


@dataclass
class Result:
    """One line: a contestant of ours beside a peer or a naive form, and the target.

    Args:
        name: the benchmark's, with ".part" behind it where it has several lines.
        unit: of all runs ("pairs a second", "s", "MiB").
        ours: label of the contestant that counts.
        peer: label of the one it is compared with; None where a bound in ``unit`` is the target.
        target: what ``ratio`` must reach, or with ``target_of`` "median" the median of ours.
        runs: label -> value of every round; the contestants take turns within a round.
        better: "higher" for rates, "lower" for times and memory.
        target_of: what the target bounds.
        notes: further lines for people (a table of options, the share of the machine's peak).
        details: further numbers for programs, plain values.
    """

    name: str
    unit: str
    ours: str
    peer: str | None
    target: float
    runs: dict[str, list[float]]
    better: Literal["higher", "lower"] = "higher"
    target_of: Literal["ratio", "median"] = "ratio"
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.peer is None and self.target_of == "ratio":
            raise ValueError(f"{self.name}: a target of the ratio needs a peer")

    @property
    def median(self) -> float:
        """Of ours, in ``unit``."""
        return statistics.median(self.runs[self.ours])

    @property
    def ratio(self) -> float:
        """Median over the rounds of ours / peer; without a peer ours / target."""
        if self.peer is None:
            return self.median / self.target
        pairs = zip(self.runs[self.ours], self.runs[self.peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        reached = self.ratio if self.target_of == "ratio" else self.median
        return reached >= self.target if self.better == "higher" else reached <= self.target

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "median": self.median, "ratio": self.ratio, "met": self.met}

    def goal(self) -> str:
        """The target in words: "at least 1.5 times", "at most 200 MiB"."""
        bound = "at least" if self.better == "higher" else "at most"
        unit = "times" if self.target_of == "ratio" else self.unit
        return f"{bound} {number(self.target)} {unit}"

    def table(self) -> str:
        """Median and spread of every contestant, for people."""
        lines = [f"{self.name} ({self.unit}, {len(self.runs[self.ours])} rounds)"]
        width = max(34, *(len(label) for label in self.runs))
        for label, values in self.runs.items():
            low, high = number(min(values)), number(max(values))
            median = number(statistics.median(values))
            lines.append(f"  {label:<{width}} {median:>10}   ({low} to {high})")
        verdict = "met" if self.met else "NOT met"
        reached = f"{self.ratio:.3g} times the peer ({self.peer})"
        if self.peer is None:
            reached = f"{number(self.median)} {self.unit}"
        lines.append(f"  {reached}; target {self.goal()}: {verdict}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


def number(value: float) -> str:
    """For people: three digits that say something, thousands apart."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def report(results: Sequence[Result], machine: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a benchmark: its first line's values at the top, the others in ``lines``."""
    first, *others = results
    return {
        **first.as_json(),
        "lines": [result.as_json() for result in others],
        "machine": machine,
    }


def lines_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """All lines of a benchmark's JSON."""
    return [found, *found["lines"]]
