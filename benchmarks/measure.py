"""How contestants are measured: in turns, and memory in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def in_turns(
    ways: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, list[float]]:
    """Seconds of every way in every round; all take turns, the order turning round by round.

    So whatever else slows the machine falls on all alike, and none always runs first.
    """
    runs: dict[str, list[float]] = {label: [] for label in ways}
    for way in ways.values():
        for _ in range(warm_up):
            way()
    for turn in range(rounds):
        labels = list(ways) if turn % 2 == 0 else list(ways)[::-1]
        for label in labels:
            runs[label].append(seconds(ways[label]))
    return runs


def peak_memory() -> int:
    """Largest resident memory of this process so far, bytes.

    From the kernel's own book of this program: what ``getrusage`` gives begins with the memory of
    the process that started it.
    """
    return memory("VmHWM")


def memory(field: str, pid: int | str = "self") -> int:
    """What /proc/PID/status says in bytes: "VmRSS" resident now, "RssAnon" of it what no file
    backs, "VmHWM" the largest resident so far."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/{pid}/status says nothing of {field}")


def start_process(module: str, *args: object) -> subprocess.Popen[str]:
    """``python -m MODULE ARGS`` on this checkout, with pipes to and from it."""
    command = [sys.executable, "-m", module, *map(str, args)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def in_own_process(module: str, *args: object) -> dict[str, Any]:
    """Run ``python -m MODULE ARGS``; what it printed last, one line of JSON.

    Raises:
        RuntimeError: it failed; with its own output.
    """
    process = start_process(module, *args)
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{module} {' '.join(map(str, args))} failed\n{out}\n{err}")
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found
