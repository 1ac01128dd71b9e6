"""ALBEF on the demonstration data: pre-training, then every task, each beside its baselines.

    python examples/albef/run.py [--out albef-out] [--tasks retrieval grounding ...]

Each step is a command that is printed before it runs. What is finished is skipped when called
again; a training that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run as a file

from examples.albef.commands import ENCODERS, PRETRAINING, Training, last, train
from examples.albef.grounding import GroundingDemo
from examples.albef.tasks import AlbefDemo, AlbefNlvr2, AlbefRetrieval, AlbefSnliVe, AlbefVqa
from examples.demo import commands
from examples.demo.commands import COCO_WORLD, Places, Settings
from examples.demo.raw import RawFolders
from examples.demo.report import Report, write_report
from examples.demo.run import open_out
from examples.demo.stages import Runner, Stage, clock
from mt_fairseq.analysis.markdown import table
from mt_fairseq.command_line import Parser, folder_to_write, positive_int
from mt_fairseq.errors import cli_entry

TASKS: dict[str, type[AlbefDemo]] = {
    kind.name: kind for kind in (AlbefRetrieval, GroundingDemo, AlbefSnliVe, AlbefNlvr2, AlbefVqa)
}
MASKED = ("--mask-prob", "0.4")  # much to predict from each image
# Stands in for the DeiT and BERT that ALBEF starts from. In random encoders the contrast's gradient
# is a hundred times that of matching and masked words, which then learn nothing from the image.
ENCODE = Training(
    "albef_pretrain", "albef_pretrain", 400, 1e-3,
    (*MASKED, "--objectives", "mlm,itm", "--distill-alpha", "0"),
)  # fmt: skip
PRETRAIN = Training("albef_pretrain", "albef_pretrain", 600, 5e-4, MASKED)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(
        prog="python examples/albef/run.py",
        description="Pre-train, fine-tune and evaluate a tiny ALBEF from raw files.",
    )
    parser.add_argument(
        "--out", type=folder_to_write, default=Path("albef-out"), help="folder of the run"
    )
    parser.add_argument(
        "--tasks", nargs="+", choices=TASKS, default=list(TASKS), help="default: all"
    )
    parser.add_argument("--fresh", action="store_true", help="start over, removing --out")
    parser.add_argument(
        "--pretraining-updates", type=positive_int,
        help=f"of each of its parts (default: {ENCODE.updates}, then {PRETRAIN.updates})",
    )  # fmt: skip
    parser.add_argument("--finetuning-updates", type=positive_int, help="default: each task's own")
    return parser.parse_args(argv)


def captions(runner: Runner, places: Places, settings: Settings) -> RawFolders:
    """Raw files and data-bin of the captions; gives where the raw files of VQA lie."""
    runner.run(commands.world_stage("world", places.raw, COCO_WORLD))
    raw = RawFolders(places.raw / "vqav2", places.raw / "coco", places.raw / "coco")
    runner.run(commands.caption_stage(places, raw, settings))
    return raw


def branch(runner: Runner, stages: Sequence[Stage]) -> Runner:
    """Run stages that follow ``runner``'s: a change in one task is none in the others."""
    own = Runner(runner.out)
    own.stale = runner.stale
    for stage in stages:
        own.run(stage)
    return own


def pretraining(places: Places, updates: int | None) -> list[Stage]:
    """Encoders that know images and words, and ALBEF's pre-training from there."""
    first = "Encoders to start from: masked words, matching with random images"
    second = "Pre-training: contrast, matching with hard negatives, masked words, distillation"
    encode, pretrain = (
        replace(training, updates=updates or training.updates) for training in (ENCODE, PRETRAIN)
    )
    data, start = places.captions, last(places, ENCODERS)
    return [
        train(ENCODERS, first, encode, data, places),
        train(PRETRAINING, second, pretrain, data, places, start),
    ]


def run_all(
    tasks: Sequence[str], places: Places, settings: Settings, updates: int | None
) -> tuple[dict[str, Report], dict[str, float]]:
    """Data of all tasks, pre-training, each task; gives the tables and the seconds of stages."""
    runner = Runner(places.out)
    raw = captions(runner, places, settings)
    demos = {name: TASKS[name](places, settings, raw) for name in tasks}
    stages = {name: demo.stages() for name, demo in demos.items()}
    first = {name: [s.name for s in own].index(name) for name, own in stages.items()}
    prepared = {name: branch(runner, own[: first[name]]) for name, own in stages.items()}
    for stage in pretraining(places, updates):
        runner.run(stage)
    seconds, reports = dict(runner.seconds), {}
    for name, demo in demos.items():
        prepared[name].stale |= runner.stale
        own = branch(prepared[name], stages[name][first[name] :])
        seconds |= prepared[name].seconds | own.seconds
        reports[name] = demo.report()
        write_report(reports[name], places.results(name), own.seconds)
        print(f"\n{reports[name].text()}", flush=True)
    return reports, seconds


def overview(reports: dict[str, Report]) -> str:
    """All tasks in one table in Markdown."""
    head = ["task", "metric", "ALBEF, %", "95 % bounds", "stronger baseline", "gain, points"]
    lines = []
    for name, report in reports.items():
        own = report.rows[0]
        mean, low, high = report.gain
        lines.append(
            [name, report.metric, f"{own.score:.1f}", f"{own.low:.1f} to {own.high:.1f}",
             f"{own.score - mean:.1f}", f"{mean:.1f} ({low:.1f} to {high:.1f})"]
        )  # fmt: skip
    return table(head, lines) + "\n"


def main(argv: list[str] | None = None) -> int:
    args = parse(argv)
    open_out(args.out, args.fresh)
    settings = Settings(finetuning_updates=args.finetuning_updates)
    places = Places(args.out)
    reports, seconds = run_all(args.tasks, places, settings, args.pretraining_updates)
    (args.out / "table.md").write_text(overview(reports), encoding="utf-8")
    print(overview(reports))
    spent = ", ".join(f"{name} {clock(s)}" for name, s in seconds.items())
    print(f"time: {spent}\ntables: {args.out}/table.md, {args.out}/results/TASK/table.md")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
