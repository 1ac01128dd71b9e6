"""Runs the command lines that it is given, one after another in this process."""

from __future__ import annotations

import importlib
import shlex
import sys


def run(line: str) -> None:
    """A command of fairseq, or ``-m MODULE ...`` of this package."""
    words = shlex.split(line)
    if words[0] == "-m":
        name = words[1]
        module = importlib.import_module(name)
        if not hasattr(module, "main"):
            module = importlib.import_module(f"{name}.__main__")
        assert not module.main(words[2:])
        return
    sys.argv = words
    importlib.import_module(f"fairseq_cli.{words[0].removeprefix('fairseq-')}").cli_main()


if __name__ == "__main__":
    for command in sys.argv[1:]:
        run(command)
        print("=== done", flush=True)
