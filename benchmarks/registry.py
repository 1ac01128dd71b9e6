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
        target: what the median of ``ours`` should reach, or with ``target_is_ratio`` the ratio.
        runs: label -> rate of every round; the contestants take turns within a round.
        target_is_ratio: whether the target is about ``ratio``.
    """

    name: str
    unit: str
    ours: str
    peer: str
    target: float
    runs: dict[str, list[float]]
    target_is_ratio: bool = False
    machine: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median over the rounds of ours / peer."""
        pairs = zip(self.runs[self.ours], self.runs[self.peer], strict=True)
        return statistics.median(a / b for a, b in pairs)

    @property
    def met(self) -> bool:
        """Whether the median, or the ratio, reaches the target."""
        reached = self.ratio if self.target_is_ratio else statistics.median(self.runs[self.ours])
        return reached >= self.target

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {**asdict(self), "ratio": self.ratio, "met": self.met}

    def table(self) -> str:
        """Median and spread of every contestant, for people."""
        lines = [f"{self.name} ({self.unit}), {len(self.runs[self.ours])} rounds"]
        for label, rates in self.runs.items():
            low, high = min(rates), max(rates)
            median = statistics.median(rates)
            digits = 0 if median >= 1000 else 1
            spread = f"({low:,.{digits}f} to {high:,.{digits}f})"
            lines.append(f"  {label:<34} {median:>12,.{digits}f}   {spread}")
        verdict = "met" if self.met else "NOT met"
        target = f"{self.target:g} times" if self.target_is_ratio else f"{self.target:,.0f}"
        lines.append(f"  {self.ratio:.2f} times the peer ({self.peer}); target {target}: {verdict}")
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
