"""``python -m preprocess``: raw official files -> data-bin; ``inspect`` looks into one."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from mt_fairseq.command_line import Parser, positive_int
from mt_fairseq.errors import cli_entry
from mt_fairseq.user_parts import import_named
from preprocess.datasets import READERS, Reader
from preprocess.options import add_options

EPILOG = """
examples:
  python -m preprocess vqav2 --raw raw/vqa --image-root raw/coco --dest data-bin/vqa
  python -m preprocess coco --raw raw/coco --dest data-bin/coco --resize 288
  python -m preprocess jsonl --raw my-data --dest data-bin/mine --min-answer-count 1
  python -m preprocess merge --dest data-bin/4m data-bin/coco data-bin/vg data-bin/cc data-bin/sbu
  python -m preprocess inspect data-bin/vqa --sample 12 --out page.html
`python -m preprocess DATASET --help` shows the files that a dataset needs.
"""


def make_parser() -> argparse.ArgumentParser:
    """The whole command line; nothing heavy is imported for it."""
    parser = Parser(
        prog="python -m preprocess",
        description="Turn the raw files of a dataset into a data-bin for training.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="dataset", metavar="DATASET", required=True)
    for name in sorted(READERS):
        reader = READERS[name]
        command = commands.add_parser(
            name,
            help=reader.summary,
            description=_description(reader),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        reader.add_arguments(command)
        add_options(command, reader.has_answers)
    inspect = commands.add_parser("inspect", help="print and verify what is in a data-bin")
    inspect.add_argument("data_bin", metavar="DATA-BIN", help="data-bin folder")
    inspect.add_argument(
        "--sample",
        type=positive_int,
        metavar="N",
        help="write N samples with image, text and label, to look at",
    )
    inspect.add_argument(
        "--out",
        metavar="FILE",
        default="samples.html",
        help="page for --sample: .html or .png (samples.html)",
    )
    _add_merge(commands)
    return parser


def _add_merge(commands: Any) -> None:
    merge = commands.add_parser(
        "merge",
        help="join data-bins into one without copying images",
        description="Join data-bins that share a tokenizer, for pre-training on all of them. Texts "
        "and columns are written anew, image packs are linked: keep the data-bins where they are.",
    )
    merge.add_argument(
        "sources",
        nargs="+",
        metavar="[NAME=]DATA-BIN",
        help="data-bins; NAME (default: the folder's) begins the keys of its images",
    )
    merge.add_argument("--dest", required=True, metavar="DIR", help="data-bin folder to write")
    merge.add_argument("--splits", metavar="A,B", help="splits to join (default: all)")
    merge.add_argument("--overwrite", action="store_true", help="replace the data-bin at --dest")


def _description(reader: type[Reader]) -> str:
    """What a dataset is, where its files come from, and how they must lie."""
    source = f"\n\nfrom:\n{reader.source}" if reader.source else ""
    return f"{reader.summary}{source}\n\nexpects:\n{textwrap.dedent(reader.layout)}"


def main(argv: list[str] | None = None) -> int:
    """Parse and run; UserError for mistakes in the input."""
    import_named(argv)  # it may register a reader
    args = make_parser().parse_args(argv)
    if args.dataset == "inspect":
        from preprocess.inspect_bin import inspect

        return inspect(args)
    if args.dataset == "merge":
        from preprocess.merge import merge

        return merge(args)
    from preprocess.build import build

    return build(args)


main_entry = cli_entry(main)

if __name__ == "__main__":
    raise SystemExit(main_entry())
