"""Benchmarks by name, and the form of their results."""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

Benchmark = Callable[[argparse.Namespace], "Result"]
BENCHMARKS: dict[str, tuple[Benchmark, str]] = {}


@dataclass
class Result:
    """What one benchmark found.

    Args:
        name: of the benchmark.
        unit: of all rates.
        ours: label of the contestant that counts.
        peer: label of the contestant it is compared with.
        target: what the median of ``ours`` should reach.
        runs: label -> rate of every round; the contestants take turns within a round.
    """

    name: str
    unit: str
    ours: str
    peer: str
    target: float
    runs: dict[str, list[float]]
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median over the rounds of ours / peer."""
        pairs = zip(self.runs[self.ours], self.runs[self.peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    @property
    def met(self) -> bool:
        """Whether the median reaches the target."""
        return statistics.median(self.runs[self.ours]) >= self.target

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}

    def table(self) -> str:
        """Median and spread of every contestant, for people."""
        lines = [f"{self.name} ({self.unit}), {len(self.runs[self.ours])} rounds"]
        for label, rates in self.runs.items():
            low, high = min(rates), max(rates)
            lines.append(
                f"  {label:<34} {statistics.median(rates):>12,.0f}   ({low:,.0f} to {high:,.0f})"
            )
        verdict = "met" if self.met else "NOT met"
        lines.append(f"  {self.ratio:.2f} times the peer ({self.peer}); target "
                     f"{self.target:,.0f}: {verdict}")  # fmt: skip
        return "\n".join(lines)


def register_benchmark(name: str, summary: str) -> Callable[[Benchmark], Benchmark]:
    """Decorator: make a benchmark known as ``python -m benchmarks NAME``."""

    def register(benchmark: Benchmark) -> Benchmark:
        if name in BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name!r}")
        BENCHMARKS[name] = (benchmark, summary)
        return benchmark

    return register


def this_machine() -> dict[str, Any]:
    """What decides the numbers."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
    }
