"""``python -m mt_fairseq.analysis NAME [options]``."""

from __future__ import annotations

import importlib
import sys

from mt_fairseq.analysis import SUBCOMMANDS
from mt_fairseq.command_line import Parser
from mt_fairseq.errors import cli_entry
from mt_fairseq.quiet import quiet_libraries


def main(argv: list[str] | None = None) -> int:
    """Import the one analysis that is asked for, and run it."""
    argv = sys.argv[1:] if argv is None else argv
    quiet_libraries()
    parser = Parser(prog="python -m mt_fairseq.analysis", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    for name, (module, text) in SUBCOMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        if argv and argv[0] == name:
            importlib.import_module(module).add_arguments(command)
    args = parser.parse_args(argv)
    return importlib.import_module(SUBCOMMANDS[args.name][0]).run(args) or 0


if __name__ == "__main__":
    raise SystemExit(cli_entry(main)())
