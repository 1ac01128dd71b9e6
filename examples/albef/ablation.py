"""ALBEF's ablation on the demonstration data: the same budget, one objective more a row.

    python examples/albef/ablation.py [--data albef-out/data-bin/coco] [--out ablation-out]

Rows are those of ALBEF's Table 1: masked words and matching; contrast beside them; matching with
hard negatives; the momentum model as teacher. All rows of a seed start from the same encoders, as
the paper's do, and are then asked the same of held-out images: does a caption match (against
random other images), which words are masked, and, where there is a data-bin of expressions, which
box is meant.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file

from examples.albef.commands import ENCODERS, MODEL, PIXELS, PRETRAINING, last, train
from examples.albef.run import ENCODE, PRETRAIN
from examples.demo.commands import SPLIT, Places, shown
from examples.demo.stages import Runner, Stage
from mt_fairseq.analysis.markdown import table
from mt_fairseq.command_line import Parser, folder_to_write, natural_int, positive_int
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError, cli_entry

ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "mlm-itm": ("MLM + ITM", ("--objectives", "mlm,itm", "--distill-alpha", "0")),
    "itc": ("+ ITC", ("--random-negatives", "--distill-alpha", "0")),
    "hard": ("+ hard negatives", ("--distill-alpha", "0")),
    "distill": ("+ distillation", ()),
}
DEFAULT_DATA, DEFAULT_BOXES = Path("albef-out/data-bin/coco"), Path("albef-out/data-bin/grounding")
QUIET = {"show": lambda line: None}


@dataclass(frozen=True)
class Figures:
    """What a row reached on held-out data, in percent; boxes are None without expressions."""

    row: str
    seed: int
    matching: float
    ranked: float
    masked_words: float
    boxes: float | None
    seconds: float


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python examples/albef/ablation.py",
        description="Pre-train tiny ALBEFs with equal budgets, one objective more each.",
    )
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="captions")
    parser.add_argument(
        "--boxes", type=Path, help=f"expressions (default: {DEFAULT_BOXES} if it is there)"
    )
    parser.add_argument(
        "--out", type=folder_to_write, default=Path("ablation-out"), help="folder of the runs"
    )
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--seeds", type=natural_int, nargs="+", default=[1])
    parser.add_argument(
        "--updates", type=positive_int, default=PRETRAIN.updates, help="of every row"
    )
    parser.add_argument(
        "--encoder-updates",
        type=positive_int,
        default=ENCODE.updates,
        help="of what all rows start from",
    )
    return parser.parse_args(argv)


def check(args: argparse.Namespace) -> None:
    """UserError for what makes no ablation, before any work."""
    if args.data == DEFAULT_DATA and not args.data.exists():
        raise UserError(f"{args.data}: no such data-bin; run examples/albef/run.py, or name one")
    if args.boxes is None and DEFAULT_BOXES.exists():
        args.boxes = DEFAULT_BOXES
    for data in (args.data, args.boxes):
        if data is not None:
            DataBin(data).split(SPLIT)


def encoders(args: argparse.Namespace, seed: int) -> Runner:
    """Train what all rows of a seed start from."""
    places = Places(args.out / "runs" / f"{ENCODERS}-seed{seed}")
    training = replace(ENCODE, updates=args.encoder_updates, seed=seed)
    title = f"Encoders to start from, seed {seed}"
    runner = Runner(places.out)
    runner.run(train(ENCODERS, title, training, args.data, places))
    return runner


def train_stage(
    places: Places, row: str, data: Path, updates: int, seed: int, start: Path
) -> Stage:
    """From a checkpoint; the order of the data and all masks follow from the seed."""
    title, options = ROWS[row]
    chosen = (*PRETRAIN.options, *options)
    training = replace(PRETRAIN, updates=updates, options=chosen, seed=seed)
    return train(PRETRAINING, f"{title}, seed {seed}: pre-training", training, data, places, start)


def validate_stage(places: Places, row: str, data: Path) -> Stage:
    """Matching against random images and masked words: the same questions for every row."""
    command = ["fairseq-validate", shown(data), "--user-dir", "user_dir", "--cpu"]
    command += ["--task", PRETRAIN.task, "--criterion", PRETRAIN.criterion, "--random-negatives"]
    command += ["--objectives", "mlm,itm", *PRETRAIN.options, "--valid-subset", SPLIT]
    command += ["--path", shown(last(places, PRETRAINING)), "--batch-size", "60"]
    command += ["--required-batch-size-multiple", "1", "--num-workers", "1", "--seed", "1"]
    command += ["--log-format", "json"]
    return Stage("validate", f"{ROWS[row][0]}: held-out captions", command, **QUIET)


def boxes_stage(places: Places, row: str, data: Path) -> Stage:
    """Grounding, without any fine-tuning."""
    command = ["fairseq-generate", shown(data), "--user-dir", "user_dir", "--cpu"]
    command += ["--task", "grounding", "--path", shown(last(places, PRETRAINING))]
    command += ["--gen-subset", SPLIT, "--scoring", "box_accuracy", "--batch-size", "64"]
    command += ["--required-batch-size-multiple", "1", "--num-workers", "1"]
    return Stage("boxes", f"{ROWS[row][0]}: boxes of expressions", command, **QUIET)


def validated(log: str) -> dict[str, float]:
    """The figures of the last line that fairseq-validate logged; UserError if there is none."""
    found = re.findall(r'\{[^{}]*"valid_itm_accuracy"[^{}]*\}', log)
    if not found:
        raise UserError("fairseq-validate reported no accuracy; see logs/validate.log")
    return {name: float(value) for name, value in json.loads(found[-1]).items() if name != "epoch"}


def box_accuracy(log: str) -> float:
    """The last score of fairseq-generate in a log; UserError if there is none."""
    found = re.findall(r"box accuracy ([\d.]+)", log)
    if not found:
        raise UserError("fairseq-generate reported no accuracy; see logs/boxes.log")
    return float(found[-1])


def run_row(args: argparse.Namespace, row: str, seed: int, first: Runner) -> Figures:
    """Train and ask one row with one seed, from where ``first`` ended."""
    places = Places(args.out / "runs" / f"{row}-seed{seed}")
    runner = Runner(places.out)
    runner.stale = first.stale
    start = last(Places(first.out), ENCODERS)
    runner.run(train_stage(places, row, args.data, args.updates, seed, start))
    stage = validate_stage(places, row, args.data)
    runner.run(stage)
    values = validated(runner.log(stage).read_text(encoding="utf-8"))
    boxes = None
    if args.boxes is not None:
        stage = boxes_stage(places, row, args.boxes)
        runner.run(stage)
        boxes = box_accuracy(runner.log(stage).read_text(encoding="utf-8"))
    return Figures(
        row,
        seed,
        values["valid_itm_accuracy"],
        values["valid_itm_ranked"],
        values["valid_mlm_accuracy"],
        boxes,
        runner.seconds[PRETRAINING],
    )


def text(figures: list[Figures], updates: int) -> str:
    """The table in Markdown, a row and seed a line."""
    figures_in = ("matching", "ranked", "masked words", "boxes")
    head = ["objectives", "seed", *(f"{name}, %" for name in figures_in), "minutes"]
    lines = [
        [ROWS[f.row][0], str(f.seed), f"{f.matching:.1f}", f"{f.ranked:.1f}",
         f"{f.masked_words:.1f}",
         "-" if f.boxes is None else f"{f.boxes:.1f}", f"{f.seconds / 60:.1f}"]
        for f in figures
    ]  # fmt: skip
    return (
        f"{table(head, lines)}\n\n{updates} updates of {PIXELS}-pixel images each. Matching: a "
        "third of the pairs is true, so that\n66.7 % are right without looking. Ranked: the true "
        "pair is scored above the random one,\n50 % without looking.\n"
    )


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    check(args)
    figures = []
    for seed in args.seeds:
        first = encoders(args, seed)
        figures += [run_row(args, row, seed, first) for row in args.rows]
    (args.out / "table.md").write_text(text(figures, args.updates), encoding="utf-8")
    content = {"updates": args.updates, "model": MODEL, "rows": [asdict(f) for f in figures]}
    (args.out / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"\n{text(figures, args.updates)}\n{args.out}/table.md, {args.out}/results.json")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
