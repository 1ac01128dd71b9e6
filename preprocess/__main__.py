"""``python -m preprocess``: raw official files -> data-bin; ``inspect`` looks into one."""

from __future__ import annotations

import argparse
import textwrap

from mt_fairseq.errors import cli_entry
from preprocess.datasets import READERS, Reader
from preprocess.options import add_options

EPILOG = """
examples:
  python -m preprocess vqav2 --raw raw/vqa --image-root raw/coco --dest data-bin/vqa
  python -m preprocess coco --raw raw/coco --dest data-bin/coco --resize 288
  python -m preprocess jsonl --raw my-data --dest data-bin/mine --min-answer-count 1
  python -m preprocess inspect data-bin/vqa --sample 12 --out page.html
`python -m preprocess DATASET --help` shows the files that a dataset needs.
"""


def make_parser() -> argparse.ArgumentParser:
    """The whole command line; nothing heavy is imported for it."""
    parser = argparse.ArgumentParser(
        prog="python -m preprocess",
        description="Turn the raw files of a dataset into a data-bin for training.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="dataset", metavar="DATASET", required=True)
    for name, reader in sorted(READERS.items()):
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
        type=int,
        metavar="N",
        help="write N samples with image, text and label, to look at",
    )
    inspect.add_argument(
        "--out",
        metavar="FILE",
        default="samples.html",
        help="page for --sample: .html or .png (samples.html)",
    )
    return parser


def _description(reader: type[Reader]) -> str:
    """What a dataset is, where its files come from, and how they must lie."""
    source = f"\n\nfrom:\n{reader.source}" if reader.source else ""
    return f"{reader.summary}{source}\n\nexpects:\n{textwrap.dedent(reader.layout)}"


def main(argv: list[str] | None = None) -> int:
    """Parse and run; UserError for mistakes in the input."""
    args = make_parser().parse_args(argv)
    if args.dataset == "inspect":
        from preprocess.inspect_bin import inspect

        return inspect(args)
    from preprocess.build import build

    return build(args)


main_entry = cli_entry(main)

if __name__ == "__main__":
    raise SystemExit(main_entry())
