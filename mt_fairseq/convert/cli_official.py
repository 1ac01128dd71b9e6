"""``python -m mt_fairseq.convert official``: published Lightning files -> fairseq checkpoints."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_fairseq.command_line import existing_path, positive_int, whole_number
from mt_fairseq.convert.task_parts import TASKS

if TYPE_CHECKING:
    from mt_fairseq.convert.tables import Report

EPILOG = """\
Sizes and the kind of model follow from the tensors' names and shapes, attention heads from the
widths (64 channels a head). The result is a complete checkpoint: from_pretrained, fairseq-generate
and fairseq-train --finetune-from-model read it.

What was mapped, missing and left over is printed. Known parts that nothing reads (RoBERTa's pooler,
CLIP's text tower, unused temperatures) count as unused; anything else without a place is left over
and ends the conversion, unless --allow-leftovers is given.

The file is read by torch's safe loader: nothing in it is ever run.

examples:
  python -m mt_fairseq.convert official ManagerTower_pt_base.ckpt --out pretrained.pt
  python -m mt_fairseq.convert official ManagerTower_ftfpt_base_vqav2.ckpt --out vqa.pt \\
      --labels data-bin/vqav2
  python -m mt_fairseq.convert official METER.ckpt --out meter.pt --tokenizer folders/roberta-base
"""


@dataclass(frozen=True)
class OfficialOptions:
    """How to read an official checkpoint; None: as the file says, or by rule."""

    task: str | None = None
    tokenizer: str = "roberta-base"
    labels: str | None = None
    image_size: int | None = None
    text_length: int | None = None
    heads: int | None = None
    allow_leftovers: bool = False


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "official",
        help="a published ManagerTower, BridgeTower or METER checkpoint -> fairseq checkpoint",
        description="Convert a published ManagerTower, BridgeTower or METER checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="Lightning file with a state_dict")
    parser.add_argument("--out", required=True, type=Path, help="checkpoint to write")
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that decide how a file is read; verify has them too."""
    parser.add_argument("--task", choices=list(TASKS), help="task (default: by the file's heads)")
    parser.add_argument(
        "--tokenizer",
        help="hub name, local folder or data-bin with the model's tokenizer "
        "(default: roberta-base)",
    )
    parser.add_argument(
        "--labels",
        type=existing_path,
        help="answers, one a line in class order; or a data-bin (VQA needs it)",
    )
    parser.add_argument(
        "--image-size",
        type=positive_int,
        help="resolution in pixels (default: the position table's)",
    )
    parser.add_argument(
        "--text-length",
        type=whole_number(3),
        help="padded length of texts (default: the file's; 50)",
    )
    parser.add_argument("--heads", type=positive_int, help="attention heads (default: width / 64)")
    parser.add_argument(
        "--allow-leftovers", action="store_true", help="go on without tensors that have no place"
    )


def options_of(args: argparse.Namespace) -> OfficialOptions:
    """The parsed options."""
    return OfficialOptions(
        task=args.task,
        tokenizer=args.tokenizer or OfficialOptions.tokenizer,
        labels=str(args.labels) if args.labels else None,
        image_size=args.image_size,
        text_length=args.text_length,
        heads=args.heads,
        allow_leftovers=args.allow_leftovers,
    )


def convert_official(checkpoint: Path, out: Path, options: OfficialOptions) -> tuple[Report, str]:
    """Convert a file to a file; gives what became of each tensor, and the task's name.

    Raises:
        UserError: a file, tokenizer or label list that does not fit; leftovers; a full disk.
    """
    from mt_fairseq.convert import from_official
    from mt_fairseq.convert.checkpoint_file import check_out, write_checkpoint
    from mt_fairseq.convert.infer import infer_config, resize_images
    from mt_fairseq.convert.lightning import read_official
    from mt_fairseq.convert.official import PAD, head_sizes, reorder_classes
    from mt_fairseq.convert.task_parts import (
        check_task,
        class_order,
        guess_task,
        labels_of,
        read_tokenizer,
    )
    from mt_fairseq.errors import UserError
    from mt_fairseq.tasks.task_state import TaskState

    check_out(out)
    state, hyper = read_official(checkpoint)
    try:
        config = infer_config(state, hyper, options.heads, options.text_length)
    except UserError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    if options.image_size:
        state = resize_images(state, config, options.image_size)
    heads = head_sizes(state)
    task = options.task or guess_task(list(heads))
    check_task(task, list(heads))
    tokenizer = read_tokenizer(options.tokenizer, config["vocab_size"], PAD)
    labels = labels_of(options.labels, task, heads.get(task, 0))
    state = reorder_classes(state, task, class_order(task, labels))
    model = from_official(state, config, options.allow_leftovers)
    size = int(config["image_size"])
    length = int(config["max_text_len"])
    task_state = TaskState(TASKS[task], tokenizer.state(), labels, (size, size), length)
    source = {"kind": "official", "model_type": config["model_type"], "file": checkpoint.name}
    write_checkpoint(out, model, task_state, source)
    report = model.conversion
    return report, task


def run(args: argparse.Namespace) -> int:
    from mt_fairseq.convert.messages import about_task

    report, task = convert_official(args.checkpoint, args.out, options_of(args))
    print(report)
    print(f"written to {args.out}: {about_task(task)}")
    return 0
