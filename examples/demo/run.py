"""``make demo``: raw files -> data-bin -> pre-training -> VQA -> answers -> a table.

    python examples/demo/run.py [--out demo-out] [--raw RAW] [--fresh]

Each step is a command that is printed before it runs, so it can be repeated by hand. A second call
goes on where the first was stopped. ``--raw`` takes a folder of your own with VQA v2 files
(README.md beside this file shows the tree); with COCO captions in it, pre-training comes first.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file

from examples.demo import commands
from examples.demo.commands import Places, Settings
from examples.demo.raw import RawFolders, find_raw
from examples.demo.report import make_report, write_report
from examples.demo.stages import Runner, clock, remove
from mt_fairseq.errors import UserError, cli_entry

USER_VOCAB_SIZE = 8000  # symbols for real text; the generated world has 80 words


def parse(argv: list[str] | None) -> argparse.Namespace:
    default = Settings()
    parser = argparse.ArgumentParser(
        prog="python examples/demo/run.py",
        description="Pre-train, fine-tune and evaluate a tiny ManagerTower from raw files.",
    )
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder of the run")
    parser.add_argument("--raw", type=Path, help="your own folder in VQA v2 format")
    parser.add_argument("--fresh", action="store_true", help="start over, removing --out")
    parser.add_argument("--image-size", type=int, default=default.image_size, help="pixels")
    parser.add_argument("--batch-size", type=int, default=default.batch_size)
    parser.add_argument("--pretraining-updates", type=int, default=default.pretraining_updates)
    parser.add_argument("--vqa-updates", type=int, default=default.vqa_updates)
    parser.add_argument("--pretraining-lr", type=float, default=default.pretraining_lr)
    parser.add_argument("--vqa-lr", type=float, default=default.vqa_lr)
    parser.add_argument("--vocab-size", type=int, help="symbols of the tokenizer")
    return parser.parse_args(argv)


def settings_of(args: argparse.Namespace) -> Settings:
    """Checked settings; UserError names the option that is wrong."""
    names = ["image_size", "batch_size", "pretraining_updates", "vqa_updates"]
    names += ["pretraining_lr", "vqa_lr"]
    for name in names:
        if getattr(args, name) <= 0:
            raise UserError(f"--{name.replace('_', '-')} {getattr(args, name)}: must be above 0")
    own = USER_VOCAB_SIZE if args.raw else Settings.vocab_size
    return Settings(**{n: getattr(args, n) for n in names}, vocab_size=args.vocab_size or own)


def open_out(out: Path, fresh: bool) -> None:
    """Make or empty the folder; UserError if it is a file or holds anything but a run of ours."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file; name a folder")
    ours = not out.exists() or not any(out.iterdir()) or (out / "stages").is_dir()
    if not ours:
        raise UserError(f"--out {out} holds other things than a run of this demonstration")
    if fresh:
        remove(out)
    out.mkdir(parents=True, exist_ok=True)


def run_stages(runner: Runner, places: Places, raw: RawFolders | None, settings: Settings) -> Path:
    """All commands in order; gives the folder of the question files."""
    if raw is None:
        runner.run(commands.world_stage(places))
        raw = find_raw(places.raw)
    if raw.captions:
        runner.run(commands.caption_stage(places, raw, settings))
    else:
        print("\nno COCO captions there: no pre-training, VQA alone")
    runner.run(commands.question_stage(places, raw, settings))
    if raw.captions:
        runner.run(commands.pretraining_stage(places, settings))
    runner.run(commands.vqa_stage(places, settings, pretrained=raw.captions is not None))
    runner.run(commands.generate_stage(places, commands.SPLIT))
    runner.run(commands.shuffle_stage(places))
    runner.run(commands.generate_stage(places, "shuffled"))
    return raw.questions


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    settings = settings_of(args)
    raw = find_raw(args.raw) if args.raw else None
    start = time.monotonic()
    open_out(args.out, args.fresh)
    places = Places(args.out)
    runner = Runner(args.out)
    questions = run_stages(runner, places, raw, settings)
    print("\n== Baselines and table", flush=True)
    report = make_report(places, questions)
    write_report(report, args.out, runner.seconds)
    print(f"\n{report.text()}")
    print_places(args.out, runner.seconds, time.monotonic() - start)
    if args.raw is None and not report.passed:
        raise UserError("the model did not beat the baselines by 10 points; please report this")
    return 0


def print_places(out: Path, seconds: dict[str, float], total: float) -> None:
    spent = ", ".join(f"{name} {clock(s)}" for name, s in seconds.items())
    print(f"time: {spent}; this call {clock(total)}")
    print(f"table: {out}/table.md, {out}/results.json    whole output: {out}/logs/")
    print(f"data: {out}/data-bin/    checkpoints: {out}/checkpoints/    answers: {out}/answers/")
    print(f"curves: tensorboard --logdir {out}/tensorboard")


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
