"""The doctor's command line."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mt_fairseq.command_line import Parser
from mt_fairseq.doctor import installation
from mt_fairseq.doctor.findings import FAIL, WARN, Finding, run_checks
from mt_fairseq.errors import UserError, cli_entry
from mt_fairseq.quiet import quiet_libraries

EPILOG = """\
examples:
  python -m mt_fairseq.doctor
  python -m mt_fairseq.doctor checkpoints/vqa/checkpoint_best.pt
  python -m mt_fairseq.doctor checkpoints/vqa/checkpoint_best.pt data-bin/vqav2

The exit code is 1 if anything has failed, 0 otherwise; warnings don't count.
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.doctor",
        description="Check the installation, a checkpoint, a data-bin, and whether these two fit.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="a checkpoint (file, folder with checkpoint_best.pt, or exported folder), a data-bin, "
        "or both",
    )
    return parser


def sort_paths(paths: list[str]) -> tuple[str | None, str | None]:
    """Which path is the checkpoint and which the data-bin: (checkpoint, data-bin).

    Raises UserError if there are two of a kind.
    """
    checkpoint: str | None = None
    data: str | None = None
    for path in paths:
        if is_checkpoint(Path(path)):
            if checkpoint is not None:
                raise UserError(f"{checkpoint} and {path} are both checkpoints: name one")
            checkpoint = path
        else:
            if data is not None:
                raise UserError(f"{data} and {path}: name at most one checkpoint and one data-bin")
            data = path
    return checkpoint, data


def is_checkpoint(path: Path) -> bool:
    """A file, a folder of checkpoints or exported weights, or what is called like a checkpoint."""
    if path.is_file() or path.suffix == ".pt":
        return True
    return any(any(path.glob(name)) for name in ("checkpoint*.pt", "*.safetensors"))


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    quiet_libraries()
    checkpoint, data = sort_paths(args.paths)
    states = [show(finding) for finding in run_checks(installation.CHECKS)]
    if checkpoint or data:
        from mt_fairseq.doctor.files import examine

        states += [show(finding) for finding in examine(checkpoint, data)]
    failed, warned = states.count(FAIL), states.count(WARN)
    print(f"{failed} failed, {warned} warnings" if failed or warned else "all is well")
    return 1 if failed else 0


def show(finding: Finding) -> str:
    print(finding, flush=True)
    return finding.state


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
