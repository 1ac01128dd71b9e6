"""``python -m benchmarks NAME [--rounds N] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.all_small import run_all
from benchmarks.machine import this_machine
from benchmarks.registry import load_all, load_one
from benchmarks.result import Result, report
from mt_fairseq.command_line import Parser, positive_int
from mt_fairseq.errors import UserError, cli_entry
from mt_fairseq.quiet import quiet_libraries

ALL = "all"
DESCRIPTION = """\
Measure one part beside a peer, or beside a naive form of the same work, in the same run:
both take turns, and what counts is the median ratio over the rounds."""
EXAMPLES = """\
{ALL}: every small one, each in a process of its own (make bench)

examples:
  python -m benchmarks data                                   a table
  python -m benchmarks data --rounds 3                        quicker, with a wider spread
  python -m benchmarks data --json benchmarks/results/data.json
  python -m benchmarks all --json results                     a folder, one file a benchmark

Figures count on a quiet machine only. docs/performance.md has those of the last release."""


def main(argv: list[str] | None = None) -> int:
    """Run one benchmark or all, print the tables, write the JSON."""
    quiet_libraries()
    args = _parser(argv).parse_args(argv)
    if args.name == ALL:
        small = [name for name, benchmark in load_all().items() if benchmark.small]
        with tempfile.TemporaryDirectory() as folder:
            return run_all(small, Path(args.json or folder), args.rounds)
    benchmark = load_one(args.name)
    if benchmark is None:
        raise UserError(f"no benchmark {args.name!r}: take one of {', '.join(load_all())} or {ALL}")
    args.rounds = args.rounds or benchmark.rounds
    if args.json:
        Path(args.json).parent.mkdir(parents=True, exist_ok=True)  # now, not after the minutes
    found = benchmark.run(args)
    results = [found] if isinstance(found, Result) else list(found)
    print("\n".join(result.table() for result in results))
    if args.json:
        text = json.dumps(report(results, this_machine()), indent=1)
        Path(args.json).write_text(text + "\n")
    return 0


def _parser(argv: list[str] | None) -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m benchmarks",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="NAME", help=f"a benchmark below, or {ALL}")
    parser.add_argument(
        "--json", metavar="FILE", help=f"write the result there as well (with {ALL}: a folder)"
    )
    parser.add_argument(
        "--rounds",
        type=positive_int,
        metavar="N",
        help="rounds of each contestant (its own default)",
    )
    if {"-h", "--help"} & set(sys.argv[1:] if argv is None else argv):  # imports every benchmark
        names = [f"{name}: {benchmark.summary}" for name, benchmark in load_all().items()]
        parser.epilog = "\n".join(["benchmarks:", *names, EXAMPLES.format(ALL=ALL)])
    return parser


if __name__ == "__main__":
    raise SystemExit(cli_entry(main)())
