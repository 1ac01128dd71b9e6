"""Every small benchmark one after the other, and one table of what they found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.result import lines_of, number

HEAD = f"{'':<34}{'ratio':>10}{'target':>10}"


def run_all(names: Sequence[str], folder: Path, rounds: int | None) -> int:
    """Run each in a process of its own, so that no memory or thread of one weighs on another.

    Args:
        names: of the benchmarks.
        folder: where NAME.json of each goes.
        rounds: for all of them; each one's own number if None.

    Returns:
        0, or 1 if one of them failed to run; a target that is missed is no failure.
    """
    failed = []
    table = []
    for name in names:
        print(f"== {name}", flush=True)
        path = folder / f"{name}.json"
        command = [sys.executable, "-m", "benchmarks", name, "--json", str(path)]
        if rounds is not None:
            command += ["--rounds", str(rounds)]
        if subprocess.run(command).returncode:
            failed.append(name)
            continue
        for line in lines_of(json.loads(path.read_text())):
            verdict = "met" if line["met"] else "NOT met"
            reached = line["ratio"] if line["target_of"] == "ratio" else line["median"]
            unit = "" if line["target_of"] == "ratio" else f" ({line['unit']})"
            row = f"{line['name']:<34}{number(reached):>10}{number(line['target']):>10}"
            table.append(f"{row}   {verdict}{unit}")
    print("\n".join(["== all", HEAD, *table]))
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0
