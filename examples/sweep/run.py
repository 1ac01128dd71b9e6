"""METER, BridgeTower and managers with equal budgets, several seeds each, and a comparison.

    python examples/sweep/run.py [--data demo-out/data-bin/vqa] [--out sweep-out]

Every run is two commands, fairseq-train and fairseq-generate, printed before they start. What is
finished is skipped when called again; a training that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file

from examples.demo.stages import Runner
from examples.sweep.commands import (
    DEFAULT_MODELS,
    MODELS,
    SPLIT,
    Budget,
    Run,
    generate_stage,
    train_stage,
)
from examples.sweep.report import compare, credits_of_run, write_comparison
from mt_fairseq.command_line import (
    Parser,
    folder_to_write,
    natural_int,
    positive_int,
    positive_number,
)
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError, cli_entry
from mt_fairseq.modules.aggregation.managers import MANAGERS

DEFAULT_DATA = Path("demo-out/data-bin/vqa")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python examples/sweep/run.py",
        description="Train tiny models with equal budgets and compare them.",
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="VQA data-bin")
    parser.add_argument(
        "--out", type=folder_to_write, default=Path("sweep-out"), help="folder of the sweep"
    )
    parser.add_argument("--updates", type=positive_int, default=Budget.updates, help="of every run")
    parser.add_argument("--seeds", type=natural_int, nargs="+", default=[1, 2, 3])
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        default=list(DEFAULT_MODELS),
        help=f"{', '.join(MODELS)}, or a manager that --user-dir registers",
    )
    parser.add_argument("--batch-size", type=positive_int, default=Budget.batch_size)
    parser.add_argument("--image-size", type=positive_int, default=Budget.image_size, help="pixels")
    parser.add_argument(
        "--lr", type=positive_number, default=Budget.lr, help="highest learning rate"
    )
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> None:
    """UserError for lists that make no sweep."""
    for name in ("seeds", "models"):
        if len(set(getattr(args, name))) < len(getattr(args, name)):
            raise UserError(f"--{name} names one of them twice")
    known = dict.fromkeys([*MODELS, *MANAGERS])
    for model in args.models:
        if model not in known:
            raise UserError(f"--models {model}: there is no such model; take {', '.join(known)}")


def open_questions(data: Path) -> DataBin:
    """The data-bin, whose held-out questions have reference answers."""
    if data == DEFAULT_DATA and not data.exists():
        raise UserError(f"{data}: no such data-bin; run `make demo` first, or name one with --data")
    opened = DataBin(data)
    if "answers" not in opened.split(SPLIT).columns:
        raise UserError(f"{data}: split {SPLIT} has no answers to score with")
    return opened


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    check(args)
    data = open_questions(args.data)
    folder = str(args.user_dir.resolve()) if args.user_dir else Budget.user_dir
    budget = Budget(args.data, args.updates, args.batch_size, args.lr, args.image_size, folder)
    credits: dict[str, list[np.ndarray]] = {model: [] for model in args.models}
    for seed in args.seeds:  # all models of a seed first: a sweep that is stopped is still fair
        for model in args.models:
            run = Run(args.out, model, seed)
            runner = Runner(run.folder)
            runner.run(train_stage(run, budget))
            runner.run(generate_stage(run, budget))
            credits[model].append(credits_of_run(run, data))
    stacked = {model: np.stack(values) for model, values in credits.items()}
    images = [int(image) for image in data.split(SPLIT).image_column[:, 0]]
    comparison = compare(stacked, images, args.seeds, args.updates)
    write_comparison(comparison, args.out)
    print(f"\n{comparison.text()}\n{args.out}/table.md, {args.out}/results.json")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
