"""Run fairseq commands one after another in one process, as one of several processes or alone.

``python -m tests.tasks.rank RANK WORLD PORT FILE``: the file holds a JSON list of [command,
arguments]. What a command prints stands behind a line ``=== n``.
"""

from __future__ import annotations

import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import ROOT, USER_DIR, environment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(folder: Path, commands: dict[str, Sequence[object]], world: int = 1) -> dict[str, str]:
    """What the first process prints for each command, by name.

    Args:
        folder: for the list of commands.
        commands: name -> fairseq's command and its arguments.
        world: processes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "commands.json"
    listed = [[command, *map(str, arguments)] for command, *arguments in commands.values()]
    file.write_text(json.dumps(listed))
    port = free_port()
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.tasks.rank", *map(str, (rank, world, port, file))],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
            env=environment(),
        )
        for rank in range(world)
    ]  # fmt: skip
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert not any(process.returncode for process in processes), "\n\n".join(outputs)
    return dict(zip(commands, outputs[0].split("=== ")[1:], strict=True))


def together(rank: int, world: int, port: int) -> list[str]:
    """fairseq's options for a process on a CPU; none for a process alone."""
    if world == 1:
        return []
    return [
        "--distributed-backend", "gloo", "--ddp-backend", "legacy_ddp", "--distributed-no-spawn",
        "--distributed-world-size", str(world), "--distributed-rank", str(rank),
        "--distributed-init-method", f"tcp://127.0.0.1:{port}",
    ]  # fmt: skip


def main(rank: int, world: int, port: int, file: Path) -> None:
    common = ["--user-dir", str(USER_DIR), "--cpu", *together(rank, world, port)]
    for number, (command, *arguments) in enumerate(json.loads(file.read_text())):
        print(f"=== {number}", flush=True)
        sys.argv = [f"fairseq-{command}", *arguments, *common]
        importlib.import_module(f"fairseq_cli.{command}").cli_main()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), Path(sys.argv[4]))
