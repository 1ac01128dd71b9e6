"""``python -m mt_fairseq.evaluate``: one checkpoint on one split, everything written to a folder.

It runs fairseq-generate itself; what task, resolution, text length and scorer to take, the
checkpoint knows.
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_fairseq.command_line import (
    Parser,
    checked,
    natural_int,
    parse_shard,
    positive_int,
    whole_number,
)
from mt_fairseq.errors import UserError, cli_entry, find_user_error
from mt_fairseq.evaluation.runs import RESULTS, SCORE
from mt_fairseq.quiet import quiet_libraries

if TYPE_CHECKING:
    from mt_fairseq.evaluation.task_scorer import TaskScorer

EPILOG = f"""\
written to --out:
  {SCORE}       the score with its 95 % interval, and its parts (answer types for VQA, ...)
  {RESULTS}    one line a sample: id, image, text, prediction, reference, credit, ...
  generate-S.txt   fairseq-generate's own output
  and what an evaluation server or official script takes, where the task has one: every sample of
  the split, in order, each once (VQA: evalai.json; NLVR2: nlvr2.csv). VQA v2's server wants the
  whole test set and gives test-dev from it, so testdev alone makes no evalai.json
  with --shard only generate-S.txt and what `merge` reads: part.json, answers.jsonl

Splits without answers (test) get the same files, the score left empty.

What stands after -- goes to fairseq-generate as it is.
`compare A B` (see `compare --help`) says whether one of two results is better than the other;
`merge PART...` (see `merge --help`) joins what several processes answered with --shard.

examples:
  python -m mt_fairseq.evaluate checkpoints/vqa data-bin/vqav2 --split valid --out results/valid
  python -m mt_fairseq.evaluate checkpoints/vqa/checkpoint_best.pt data-bin/vqav2 --split test \\
      --batch-size 64 --out results/test
  python -m mt_fairseq.evaluate checkpoints/coco data-bin/coco --split test --shard 1/8 \\
      --out parts/1
  python -m mt_fairseq.evaluate checkpoints/coco data-bin/flickr30k --split test \\
      --out results/zero-shot -- --retrieval-topk 128
  python -m mt_fairseq.evaluate compare results/bridgetower results/managertower
"""


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m mt_fairseq.evaluate",
        description="Evaluate a checkpoint on a split of a data-bin.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        help="checkpoint file, a folder with checkpoint_best.pt or checkpoint_last.pt, or one that "
        "`mt_fairseq.convert export` wrote",
    )
    parser.add_argument("data", help="data-bin that `python -m preprocess` wrote")
    parser.add_argument("--split", default="valid", help="split to answer (default: valid)")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument("--overwrite", action="store_true", help="replace results in --out")
    parser.add_argument(
        "--batch-size", type=positive_int, default=32, help="samples a batch (default: 32)"
    )
    parser.add_argument(
        "--nbest", type=positive_int, default=5, help="answers to keep (default: 5)"
    )
    parser.add_argument(
        "--num-workers", type=natural_int, default=2, help="processes that read images"
    )
    parser.add_argument(
        "--shard",
        type=checked(shard),
        metavar="I/N",
        help="answer the I-th of N parts; `merge` joins all N",
    )
    parser.add_argument("--image-size", help="another resolution than the checkpoint's")
    parser.add_argument(
        "--max-text-len", type=whole_number(3), help="another text length than its own"
    )
    parser.add_argument(
        "--ema", action="store_true", help="take the averaged weights that --store-ema kept"
    )
    parser.add_argument("--cpu", action="store_true", help="leave accelerators alone")
    parser.add_argument("--fp16", action="store_true", help="compute in half precision")
    return parser


def shard(text: str) -> str:
    """The value of ``--shard`` as it is; UserError if it names no part."""
    parse_shard(text)
    return text


def scorer_of(checkpoint: Path, task: str) -> type[TaskScorer]:
    """The scorer of a task; UserError for tasks that give no predictions to score."""
    from fairseq.scoring import SCORER_REGISTRY
    from fairseq.tasks import TASK_REGISTRY

    scoring = {name: getattr(kind, "scoring", None) for name, kind in TASK_REGISTRY.items()}
    if not scoring.get(task):
        scored = ", ".join(sorted(name for name, scorer in scoring.items() if scorer))
        raise UserError(
            f"{checkpoint}: is of task {task}, which has no predictions to score; this command "
            f"takes checkpoints of {scored}; fairseq-validate gives its losses"
        )
    return SCORER_REGISTRY[scoring[task]]


def generate_arguments(
    args: argparse.Namespace, checkpoint: Path, task: str, scoring: str
) -> list[str]:
    """fairseq-generate's arguments but for ``--user-dir`` and ``--results-path``.

    The user's own come first, so that they can't say otherwise than score.json does.
    """
    arguments = [args.data, *args.further, "--task", task, "--path", str(checkpoint)]
    arguments += ["--gen-subset", args.split, "--scoring", scoring]
    arguments += ["--batch-size", str(args.batch_size), "--required-batch-size-multiple", "1"]
    arguments += ["--num-workers", str(args.num_workers)]
    arguments += ["--nbest", str(args.nbest), "--beam", str(args.nbest)]
    if args.ema:
        from mt_fairseq.models.checkpoint import USE_EMA

        arguments += ["--model-overrides", str({USE_EMA: True})]
    if args.image_size:
        arguments += ["--image-size", args.image_size]
    if args.max_text_len:
        arguments += ["--max-text-len", str(args.max_text_len)]
    if args.shard:
        number, count = parse_shard(args.shard)
        arguments += ["--distributed-world-size", str(count), "--distributed-rank", str(number - 1)]
    return arguments + [f"--{flag}" for flag in ("cpu", "fp16") if getattr(args, flag)]


def generated_name(split: str) -> str:
    """The file that fairseq-generate writes."""
    return f"generate-{split}.txt"


def generate_options(arguments: list[str]) -> argparse.Namespace:
    """What fairseq-generate makes of its arguments; it ends the process for those it lacks."""
    from fairseq import options

    return options.parse_args_and_arch(options.get_generation_parser(), input_args=arguments)


def run_generate(generation: argparse.Namespace) -> TaskScorer:
    """fairseq-generate in this process; gives its scorer.

    Raises UserError where one is at the root of what fairseq reports, or a file can't be written.
    """
    from fairseq_cli import generate

    # where no progress bar can be drawn, fairseq logs a line every hundred batches
    logging.getLogger("fairseq.logging.progress_bar").setLevel(logging.INFO)
    try:
        return generate.main(generation)
    except OSError as error:
        raise UserError(f"{error.filename or 'writing the results'}: {error.strerror}") from error
    except Exception as error:
        found = find_user_error(error)
        if found is not None:
            raise UserError(str(found)) from error
        raise


def evaluate(
    args: argparse.Namespace,
    checkpoint: Path,
    state: dict[str, Any],
    generation: argparse.Namespace,
) -> str:
    """Answer the split, or a part of it, write everything to ``args.out``, and say the score.

    The folder keeps what it holds until all is computed.
    """
    from mt_fairseq.evaluation.merge import write_part
    from mt_fairseq.evaluation.run_files import write_run

    started = time.time()
    with tempfile.TemporaryDirectory(prefix=".running-", dir=args.out) as running:
        generation.results_path = running
        scorer = run_generate(generation)
        facts = {
            "checkpoint": str(checkpoint),
            "data": args.data,
            "split": args.split,
            "task": state["task"],
            "image_size": args.image_size or "x".join(map(str, state["image_size"])),
            "max_text_len": args.max_text_len or state["max_text_len"],
            "scoring": scorer.name,
            "nbest": args.nbest,
            "ema": args.ema,
            "further_options": args.further,
        }
        seconds = time.time() - started
        generated = Path(running) / generated_name(args.split)
        if args.shard:
            write_part(args.out, facts, args.shard, scorer, seconds, generated)
        else:
            write_run(args.out, facts, scorer, seconds, generated)
    return str(scorer.result_string())


def parse(argv: list[str]) -> argparse.Namespace:
    """The options; ``further`` are those after ``--``, for fairseq-generate."""
    own = argv.index("--") if "--" in argv else len(argv)
    args = build_parser().parse_args(argv[:own])
    args.further = argv[own + 1 :]
    if args.ema and any(word.startswith("--model-overrides") for word in args.further):
        raise UserError(
            "--ema and --model-overrides: leave --ema out and write 'use_ema': True among them"
        )
    return args


def check_split(args: argparse.Namespace, samples: int) -> None:
    """UserError for a split without samples, or with too few batches for ``--shard``."""
    if not samples:
        raise UserError(f"{args.data}: split {args.split} has no samples")
    batches = -(-samples // args.batch_size)
    if args.shard and parse_shard(args.shard)[1] > batches:
        raise UserError(
            f"--shard {args.shard}: split {args.split} makes {batches} batches of "
            f"{args.batch_size}; take fewer parts or a smaller --batch-size"
        )


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ["compare"]:
        from mt_fairseq import compare

        return compare.main(argv[1:])
    if argv[:1] == ["merge"]:
        quiet_libraries()
        from mt_fairseq.evaluation import merge

        return merge.main(argv[1:])
    args = parse(argv)
    quiet_libraries()
    from mt_fairseq.data.data_bin import DataBin
    from mt_fairseq.evaluation.merge import ANSWERS, PART
    from mt_fairseq.evaluation.run_files import check_output, no_empty_folder
    from mt_fairseq.models.averaged import averaged_weights
    from mt_fairseq.models.checkpoint import find_and_read

    checkpoint, content = find_and_read(args.checkpoint)
    if args.ema:
        averaged_weights(content, checkpoint)  # an error comes before the work
    state = content["task_state"]
    scorer = scorer_of(checkpoint, state["task"])
    arguments = generate_arguments(args, checkpoint, state["task"], scorer.name)
    check_split(args, len(DataBin(args.data).split(args.split)))
    generated = generated_name(args.split)
    names = [SCORE, RESULTS, *scorer.submission_files(state["task"]), generated]
    if args.shard:
        names = [PART, ANSWERS, generated]
    generation = generate_options(arguments)
    check_output(args.out, names, args.overwrite)
    command = shlex.join([*arguments, "--results-path", str(args.out)])
    folder = args.user_dir or "$(mt-user-dir)"
    print(f"running: fairseq-generate --user-dir {folder} {command}", flush=True)
    with no_empty_folder(args.out):
        print(evaluate(args, checkpoint, state, generation))
    written = [name for name in names if (args.out / name).is_file()]
    print(f"written to {args.out}: {', '.join(written)}")
    return 0


if __name__ == "__main__":
    sys.exit(cli_entry(main)())
