"""``python -m mt_fairseq.convert verify``: does this installation reach a paper's score?"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_fairseq.command_line import finite_number, natural_int, positive_int
from mt_fairseq.convert import cli_official

if TYPE_CHECKING:
    from mt_fairseq.convert.published import Published

CONVERTED = "converted.pt"

EPILOG = """\
Takes a published checkpoint (a Lightning file, converted on the way with the data-bin's tokenizer
and labels) or one that fairseq or this command wrote, answers the split with
`python -m mt_fairseq.evaluate`, and prints the score with its 95 % interval beside the paper's.

exit status: 0 the paper's score lies in the interval; 1 it does not; 2 nothing could be compared.
The papers score VQAv2 on the server: on valid, test-dev's score is taken, but published models
have seen valid in training. With --split test, submit evalai.json from --out: the server gives
test-dev and test-std from it, and takes no answers to testdev alone.

examples:
  python -m mt_fairseq.convert verify ManagerTower_ftfpt_base_snlive.ckpt data-bin/snli_ve \\
      --split test --out verified
  python -m mt_fairseq.convert verify vqa.pt data-bin/vqav2 --expect 78.2
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "verify",
        help="evaluate a published checkpoint and hold its score against the paper's",
        description="Convert a published checkpoint, evaluate it, and compare with the paper.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="published or converted checkpoint")
    parser.add_argument("data", metavar="DATA-BIN", help="what `python -m preprocess` wrote")
    parser.add_argument("--split", default="valid", help="split to answer (default: valid)")
    parser.add_argument(
        "--out", type=Path, help=f"folder to keep {CONVERTED} and the results (default: none kept)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--expect", type=finite_number, help="score to compare with (default: the paper's)"
    )
    parser.add_argument(
        "--batch-size", type=positive_int, default=32, help="samples a batch (default: 32)"
    )
    parser.add_argument(
        "--num-workers", type=natural_int, default=2, help="processes that read images"
    )
    parser.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    parser.add_argument("--fp16", action="store_true", help="compute in half precision")
    cli_official.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    folder = args.out or Path(tempfile.mkdtemp(prefix="verify-"))
    try:
        checkpoint = _prepare(args, folder)
        expected = _expected(args, checkpoint)
        score = _evaluate(args, checkpoint, folder)
        return compare(score, expected, args)
    finally:
        if args.out is None:
            print("(nothing of this is kept: name --out to keep it)")
            shutil.rmtree(folder, ignore_errors=True)


def compare(score: dict[str, Any], expected: Published | None, args: argparse.Namespace) -> int:
    """Print score and paper side by side; the exit status.

    Raises UserError where there is no score or nothing to compare it with.
    """
    from mt_fairseq.errors import UserError

    if score["score"] is None:
        told = f"; the paper's score there is {expected.score:.2f}" if expected else ""
        where = args.out / "evalai.json" if args.out else "evalai.json (name --out to keep it)"
        raise UserError(
            f"split {args.split} has no answers here: submit {where} to the server{told}"
        )
    low, high = score["ci95"]
    print(f"this installation: {score['score']:.2f} (95% CI {low:.2f}-{high:.2f}), {args.split}")
    if expected is None:
        raise UserError(
            f"no paper's score is known for this model on split {args.split}: give --expect"
        )
    print(f"expected:          {expected.score:.2f} ({expected.model}, {expected.split})")
    inside = low <= expected.score <= high
    print("agrees" if inside else "DIFFERS: the interval excludes the expected score")
    return 0 if inside else 1


def _prepare(args: argparse.Namespace, folder: Path) -> Path:
    """The checkpoint in fairseq's form; converted into ``folder`` if it is a published one."""
    from mt_fairseq.convert.lightning import read_foreign
    from mt_fairseq.data.data_bin import DataBin
    from mt_fairseq.errors import UserError
    from mt_fairseq.evaluation.vqa_server import TEST_PART, WHOLE_TEST
    from mt_fairseq.models.checkpoint import find_checkpoint

    path = find_checkpoint(args.checkpoint)
    split = DataBin(args.data).split(args.split)  # wrong names end here, before any work
    if args.split == TEST_PART and "label" not in split.columns:
        raise UserError(f"split {args.split} has no answers here, and {WHOLE_TEST}")
    if "task_state" in read_foreign(path):
        return path
    options = cli_official.options_of(args)
    options = replace(
        options, tokenizer=args.tokenizer or args.data, labels=options.labels or _labels(args.data)
    )
    converted = folder / CONVERTED
    report, _ = cli_official.convert_official(path, converted, options)
    print(report)
    return converted


def _labels(data: str) -> str | None:
    from mt_fairseq.data.metadata import LABEL_FILE

    return data if (Path(data) / LABEL_FILE).is_file() else None


def _expected(args: argparse.Namespace, checkpoint: Path) -> Published | None:
    from mt_fairseq.convert.published import Published, published
    from mt_fairseq.models.checkpoint import read_checkpoint

    if args.expect is not None:
        return Published(args.expect, args.split, "--expect")
    state = read_checkpoint(checkpoint)
    model = state["cfg"]["model"]
    return published(model["_name"], model["hidden_size"], state["task_state"]["task"], args.split)


def _evaluate(args: argparse.Namespace, checkpoint: Path, folder: Path) -> dict[str, Any]:
    """``python -m mt_fairseq.evaluate`` in this process; the content of its score.json."""
    from mt_fairseq import evaluate

    arguments = [str(checkpoint), args.data, "--split", args.split, "--out", str(folder)]
    arguments += ["--batch-size", str(args.batch_size), "--num-workers", str(args.num_workers)]
    arguments += [f"--{flag}" for flag in ("cpu", "fp16", "overwrite") if getattr(args, flag)]
    evaluate.main(arguments)
    score: dict[str, Any] = json.loads((folder / evaluate.SCORE).read_text())
    return score
