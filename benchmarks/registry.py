"""Benchmarks by name; each stands in the module of its name and registers itself."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.result import Result

Run = Callable[[argparse.Namespace], "Result | Sequence[Result]"]


@dataclass(frozen=True)
class Benchmark:
    """What ``python -m benchmarks NAME`` runs.

    Args:
        run: gets the parsed command line (``rounds``, ``json``), gives one line or several.
        summary: one line for people.
        rounds: how often each contestant is measured unless ``--rounds`` says.
        small: whether ``all`` runs it: a few minutes and a few GiB at most.
    """

    run: Run
    summary: str
    rounds: int
    small: bool


BENCHMARKS: dict[str, Benchmark] = {}


def register_benchmark(
    name: str, summary: str, rounds: int = 7, small: bool = True
) -> Callable[[Run], Run]:
    """Decorator: make a benchmark known as ``python -m benchmarks NAME``.

    Raises:
        ValueError: there is one of that name.
    """

    def register(run: Run) -> Run:
        if name in BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name!r}")
        BENCHMARKS[name] = Benchmark(run, summary, rounds, small)
        return run

    return register


def load_all() -> dict[str, Benchmark]:
    """Import every module of this package; all benchmarks by name, sorted."""
    import benchmarks

    for module in pkgutil.iter_modules(benchmarks.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"benchmarks.{module.name}")
    return dict(sorted(BENCHMARKS.items()))


def load_one(name: str) -> Benchmark | None:
    """The benchmark of that name without importing the others; None if there is none."""
    if name not in BENCHMARKS and name.isidentifier():
        try:
            importlib.import_module(f"benchmarks.{name}")
        except ModuleNotFoundError as error:
            if error.name != f"benchmarks.{name}":
                raise
    return BENCHMARKS.get(name)
