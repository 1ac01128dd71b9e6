"""``make demo``: raw files -> data-bin -> pre-training -> a task -> answers -> a table.

    python examples/demo/run.py [--task vqa] [--out demo-out] [--raw RAW] [--fresh]

Each step is a command that is printed before it runs, so it can be repeated by hand. A second call
goes on where the first was stopped; one for another task takes the same pre-training. ``--raw``
takes a folder of your own with VQA v2 files (README.md beside this file shows the tree); with COCO
captions in it, pre-training comes first.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file

from examples.demo import commands
from examples.demo.commands import COCO_WORLD, Places, Settings
from examples.demo.demo import Demo
from examples.demo.nlvr2 import Nlvr2Demo
from examples.demo.raw import find_raw
from examples.demo.report import write_report
from examples.demo.retrieval import RetrievalDemo
from examples.demo.snli_ve import SnliVeDemo
from examples.demo.stages import Runner, clock, remove
from examples.demo.vqa import VqaDemo
from mt_fairseq.command_line import (
    Parser,
    existing_path,
    folder_to_write,
    natural_int,
    positive_int,
    positive_number,
)
from mt_fairseq.errors import UserError, cli_entry

DEMOS: dict[str, type[Demo]] = {
    kind.name: kind for kind in (VqaDemo, SnliVeDemo, Nlvr2Demo, RetrievalDemo)
}
NUMBERS: dict[str, tuple[Callable[[str], float], str]] = {
    "image_size": (positive_int, "pixels of an image's side"),
    "batch_size": (positive_int, "texts an update"),
    "pretraining_updates": (positive_int, "updates of pre-training"),
    "pretraining_lr": (positive_number, "its highest learning rate"),
    "finetuning_updates": (positive_int, "updates of the task"),
    "finetuning_lr": (positive_number, "its highest learning rate"),
    "seed": (natural_int, "of all trainings"),
}
USER_VOCAB_SIZE = 8000  # symbols for real text; the generated world has 80 words


def parse(argv: list[str] | None) -> argparse.Namespace:
    default = Settings()
    parser = Parser(
        prog="python examples/demo/run.py",
        description="Pre-train, fine-tune and evaluate a tiny ManagerTower from raw files.",
    )
    parser.add_argument("--task", choices=DEMOS, default=VqaDemo.name, help="default: vqa")
    parser.add_argument(
        "--out", type=folder_to_write, default=Path("demo-out"), help="folder of the run"
    )
    parser.add_argument("--raw", type=existing_path, help="your own folder in VQA v2 format (vqa)")
    parser.add_argument("--fresh", action="store_true", help="start over, removing --out")
    for name, (kind, what) in NUMBERS.items():
        usual = getattr(default, name)
        told = f"{what} (default: {usual or 'of the task'})"
        parser.add_argument(_option(name), type=kind, default=usual, help=told)
    told = f"symbols of the tokenizer (default: {default.vocab_size}; {USER_VOCAB_SIZE} with --raw)"
    parser.add_argument("--vocab-size", type=positive_int, help=told)
    return parser.parse_args(argv)


def _option(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def settings_of(args: argparse.Namespace) -> Settings:
    """Checked settings; UserError names the option that is wrong."""
    if args.raw and args.task != VqaDemo.name:
        raise UserError(
            f"--raw {args.raw}: goes with --task vqa; for your own files of {args.task} take the "
            f"commands in examples/{DEMOS[args.task].page or args.task}/README.md"
        )
    own = USER_VOCAB_SIZE if args.raw else Settings.vocab_size
    return Settings(**{n: getattr(args, n) for n in NUMBERS}, vocab_size=args.vocab_size or own)


def open_out(out: Path, fresh: bool) -> None:
    """Make or empty the folder; UserError if it holds anything but a run of ours."""
    ours = not out.exists() or not any(out.iterdir()) or (out / "stages").is_dir()
    if not ours:
        raise UserError(f"--out {out} holds other things than a run of this demonstration")
    if fresh:
        remove(out)
    out.mkdir(parents=True, exist_ok=True)


def run_stages(
    runner: Runner, kind: type[Demo], places: Places, settings: Settings, own: Path | None
) -> Demo:
    """All commands in order, on the small world or on ``own`` raw files."""
    if own is None:
        runner.run(commands.world_stage("world", places.raw, COCO_WORLD))
    raw = find_raw(own or places.raw)
    if raw.captions:
        runner.run(commands.caption_stage(places, raw, settings))
        runner.run(commands.pretraining_stage(places, settings))
    else:
        print("\nno COCO captions there: no pre-training")
    demo = kind(places, settings, raw)
    for stage in demo.stages():
        runner.run(stage)
    return demo


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    settings = settings_of(args)
    if args.raw:
        find_raw(args.raw)
    start = time.monotonic()
    open_out(args.out, args.fresh)
    places = Places(args.out)
    runner = Runner(args.out)
    demo = run_stages(runner, DEMOS[args.task], places, settings, args.raw)
    print("\n== Baselines and table", flush=True)
    report = demo.report()
    write_report(report, places.results(args.task), runner.seconds)
    print(f"\n{report.text()}")
    print_places(places, args.task, runner.seconds, time.monotonic() - start)
    if args.raw is None and not report.passed:
        raise UserError("the model did not beat the baselines by 10 points; please report this")
    return 0


def print_places(places: Places, task: str, seconds: dict[str, float], total: float) -> None:
    spent = ", ".join(f"{name} {clock(s)}" for name, s in seconds.items())
    out, results = places.out, places.results(task)
    print(f"time: {spent}; this call {clock(total)}")
    print(f"table: {results}/table.md, results.json    answers: {results}/valid/, shuffled/")
    print(f"data: {out}/data-bin/    checkpoints: {out}/checkpoints/    whole output: {out}/logs/")
    print(f"curves: tensorboard --logdir {places.tensorboard}")


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
