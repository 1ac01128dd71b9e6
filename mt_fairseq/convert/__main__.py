"""``python -m mt_fairseq.convert``: weights in and out."""

from __future__ import annotations

import argparse
import importlib
import sys

from mt_fairseq.command_line import Parser
from mt_fairseq.convert import cli_albef, cli_export, cli_huggingface, cli_official, cli_verify
from mt_fairseq.errors import cli_entry
from mt_fairseq.quiet import quiet_libraries

EPILOG = """\
Each command has its own --help with examples. Nothing is downloaded unless you name a hub model,
and no file is read but by torch's safe loader or as safetensors.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.convert",
        description="Bring weights in and out.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (cli_official, cli_albef, cli_huggingface, cli_export, cli_verify):
        module.add_parser(commands)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    quiet_libraries()
    importlib.import_module("mt_fairseq.plugin")
    return int(args.run(args))


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
