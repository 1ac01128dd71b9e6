"""How long commands take before they do anything.

- help: ``python -m preprocess --help``; its peer is Python that imports nothing.
- import: ``import mt_fairseq`` beside ``import fairseq``.
- plugin: all that ``--user-dir`` registers, fairseq included, beside ``import fairseq``.

Each run is a fresh interpreter; the byte code is there already.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable

from benchmarks.measure import ROOT, in_turns
from benchmarks.registry import register_benchmark
from benchmarks.result import Result

HELP_SECONDS = 0.5
IMPORT_TARGET = 1.1
HELP, NOTHING = "python -m preprocess --help", "python -c pass"
OURS, PLUGIN, FAIRSEQ = "import mt_fairseq", "import mt_fairseq.plugin", "import fairseq"
COMMANDS = {
    HELP: ["-m", "preprocess", "--help"],
    NOTHING: ["-c", "pass"],
    **{statement: ["-c", statement] for statement in (OURS, PLUGIN, FAIRSEQ)},
}


@register_benchmark("startup", "seconds before commands and imports are ready", rounds=5)
def startup(args: argparse.Namespace) -> list[Result]:
    """One line for the help, one for the import, one for all that the plug-in registers."""
    runs = in_turns({label: _starter(words) for label, words in COMMANDS.items()}, args.rounds)

    def times(*labels: str) -> dict[str, list[float]]:
        return {label: runs[label] for label in labels}

    return [
        Result(
            "startup.help", "s", HELP, NOTHING, HELP_SECONDS, times(HELP, NOTHING),
            "lower", "median",
        ),
        Result("startup.import", "s", OURS, FAIRSEQ, IMPORT_TARGET, times(OURS, FAIRSEQ), "lower"),
        Result(
            "startup.plugin", "s", PLUGIN, FAIRSEQ, IMPORT_TARGET, times(PLUGIN, FAIRSEQ), "lower"
        ),
    ]  # fmt: skip


def _starter(words: list[str]) -> Callable[[], object]:
    command = [sys.executable, *words]
    return lambda: subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
