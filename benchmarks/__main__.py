"""``python -m benchmarks NAME [--json FILE]``."""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
from pathlib import Path

import benchmarks
from benchmarks.registry import BENCHMARKS, this_machine
from mt_fairseq.errors import cli_entry


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark, print its table, write its JSON."""
    for module in pkgutil.iter_modules(benchmarks.__path__):  # each registers itself
        if not module.name.startswith("_"):
            importlib.import_module(f"benchmarks.{module.name}")
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure one part beside a peer in the same run.",
        epilog="\n".join(f"{name}: {text}" for name, (_, text) in sorted(BENCHMARKS.items())),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", metavar="FILE", help="write the result there as well")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds (7)")
    args = parser.parse_args(argv)
    result = BENCHMARKS[args.name][0](args)
    result.machine = this_machine()
    print(result.table())
    if args.json:
        Path(args.json).write_text(json.dumps(result.as_json(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(cli_entry(main)())
