"""``python -m mt_fairseq.plan CONFIG --gpus N --memory GB``."""

from __future__ import annotations

import argparse

from mt_fairseq.command_line import Parser, positive_int, positive_number
from mt_fairseq.errors import cli_entry
from mt_fairseq.quiet import quiet_libraries

EPILOG = """\
CONFIG is a .yaml file of fairseq-hydra-train, or the name of a recipe of this checkout: vqa,
vqa/bridgetower_large. Overrides are Hydra's, as after fairseq-hydra-train.

examples:
  python -m mt_fairseq.plan vqa --gpus 1 --memory 24 --samples 658111
  python -m mt_fairseq.plan vqa task.data=data-bin/vqav2 --gpus 8 --memory 40
  python -m mt_fairseq.plan flickr30k model._name=bridgetower_base --gpus 4 --memory 80
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.plan",
        description="Micro-batch, accumulation, updates, memory and time of a training run.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("config", metavar="CONFIG", help="the recipe")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="overrides of it")
    parser.add_argument("--gpus", type=positive_int, required=True, help="GPUs, all nodes together")
    parser.add_argument(
        "--memory",
        type=positive_number,
        required=True,
        metavar="GB",
        help="of each GPU, in 10^9 bytes",
    )
    parser.add_argument(
        "--samples", type=positive_int, help="training samples, where the recipe names no data-bin"
    )
    parser.add_argument(
        "--tflops",
        type=positive_number,
        default=100.0,
        help="what a GPU sustains, in 10^12 operations a second (default: 100, about a third of an "
        "A100's peak in bfloat16)",
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    args = build_parser().parse_intermixed_args(argv)
    quiet_libraries()
    from mt_fairseq.plan.memory import GB
    from mt_fairseq.plan.planner import make_other_plan, make_plan, read_data
    from mt_fairseq.plan.recipe import read_recipe
    from mt_fairseq.plan.report import report

    recipe = read_recipe(args.config, args.overrides)
    memory = args.memory * GB
    plan = make_plan(recipe, read_data(recipe, args.samples), args.gpus, memory)
    print(report(plan, make_other_plan(plan, memory), memory, args.tflops))
    return 0


if __name__ == "__main__":
    raise SystemExit(cli_entry(main)())
