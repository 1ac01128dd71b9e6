"""``python -m mt_fairseq.convert albef``: published ALBEF files -> fairseq checkpoints."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mt_fairseq.command_line import existing_path, positive_int

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {
    "pretrain": "albef_pretrain",
    "retrieval": "retrieval",
    "ve": "snli_ve",
    "pretrain_nlvr": "albef_pairs",
    "nlvr": "nlvr2",
    "vqa": "albef_vqa",
}
"""Kinds of checkpoints -> registered names of tasks."""

CAPTIONS, QUESTIONS = "albef-captions", "albef-questions"
"""What the official code does to texts, by the names of ``data.text_cleaning``."""

SHORT = ("pretrain", "pretrain_nlvr", "vqa")
SHORT_TEXT, LONG_TEXT = 26, 50
"""Tokens of a text, <s> and </s> counted: 25 without </s> in the official pre-training and VQA."""

EPILOG = """\
The file holds {"model": state_dict, ...} as the official code saves it, or the state dict alone;
docs/albef.md lists names and shapes. Sizes follow from the shapes, attention heads from the widths
(64 channels a head). Momentum weights and queues come along, so that training goes on with them.
The result is a complete checkpoint: from_pretrained, fairseq-generate and fairseq-train
--finetune-from-model read it.

Official models never saw the end of a text, so converted ones have --no-end-token; nor capitals and
punctuation, so they clean the texts that they are given: write data-bins for them with --clean-text
albef-captions, or albef-questions for vqa. What was mapped, missing and left over is printed;
tensors without a place end the conversion, unless --allow-leftovers is given. The file is read by
torch's safe loader: nothing in it is ever run.

examples:
  python -m mt_fairseq.convert albef ALBEF.pth --out albef.pt
  python -m mt_fairseq.convert albef flickr30k.pth --kind retrieval --out flickr30k.pt
  python -m mt_fairseq.convert albef vqa.pth --labels answer_list.txt --out vqa.pt
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "albef",
        help="a published ALBEF checkpoint -> fairseq checkpoint",
        description="Convert a published ALBEF checkpoint.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoint", type=Path, help="file of the official code")
    parser.add_argument("--out", required=True, type=Path, help="checkpoint to write")
    parser.add_argument("--kind", choices=KINDS, help="what it was trained for (default: by heads)")
    parser.add_argument(
        "--tokenizer",
        default="bert-base-uncased",
        help="hub name, local folder or data-bin with its tokenizer (default: bert-base-uncased)",
    )
    parser.add_argument(
        "--labels",
        type=existing_path,
        help="for vqa: the closed list of answers, one a line; or a data-bin",
    )
    parser.add_argument("--heads", type=positive_int, help="attention heads (default: width / 64)")
    parser.add_argument(
        "--allow-leftovers", action="store_true", help="go on without tensors that have no place"
    )
    parser.set_defaults(run=run)


def read_albef(path: Path) -> dict[str, Tensor]:
    """The state dict of an official file; UserError if it holds none."""
    import torch

    from mt_fairseq.convert.lightning import read_foreign
    from mt_fairseq.errors import UserError

    content = read_foreign(path)
    state = content.get("model", content)
    if not isinstance(state, dict) or not state or not all(map(torch.is_tensor, state.values())):
        raise UserError(f"{path}: has no state dict of tensors under 'model'")
    return {str(name): tensor for name, tensor in state.items()}


def answers_of(path: Path | None, kind: str) -> list[str] | None:
    """Labels in order; None for kinds without.

    Raises:
        UserError: none given for VQA, or a file that is none or empty.
    """
    from mt_fairseq.convert.task_parts import labels_of_reference
    from mt_fairseq.data.metadata import LABEL_FILE, read_labels
    from mt_fairseq.errors import UserError

    if kind != "vqa":
        if path is not None:
            raise UserError(f"--labels {path}: only vqa has a list of answers, not {kind}")
        labels = labels_of_reference(KINDS[kind])
        return None if labels is None else list(labels)
    if path is None:
        raise UserError(
            "--labels is needed for vqa: a file with the closed list of answers, one a line, or a "
            f"data-bin with {LABEL_FILE}"
        )
    file = path / LABEL_FILE if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"--labels {file}: no such file")
    answers = read_labels(file)
    if not answers:
        raise UserError(f"--labels {file}: the list of answers is empty")
    return answers


def run(args: argparse.Namespace) -> int:
    """Convert a file to a file.

    Raises:
        UserError: a file, tokenizer or list that does not fit; leftovers; a full disk.
    """
    from mt_fairseq.convert import from_official_albef
    from mt_fairseq.convert.albef import PAD
    from mt_fairseq.convert.checkpoint_file import check_out, write_checkpoint
    from mt_fairseq.convert.infer_albef import infer_albef_config, infer_kind
    from mt_fairseq.convert.task_parts import read_tokenizer
    from mt_fairseq.errors import UserError
    from mt_fairseq.tasks.task_state import TaskState

    check_out(args.out)
    state = read_albef(args.checkpoint)
    try:
        kind = args.kind or infer_kind(state)
        config = infer_albef_config(state, kind, args.heads)
    except UserError as error:
        raise UserError(f"{args.checkpoint}: {error}") from error
    labels = answers_of(args.labels, kind)
    tokenizer = read_tokenizer(args.tokenizer, config["vocab_size"], PAD)
    model = from_official_albef(state, config, kind, args.allow_leftovers)
    length = min(SHORT_TEXT if kind in SHORT else LONG_TEXT, config["text_max_positions"])
    size = config["image_res"], config["image_res"]
    cleaning = QUESTIONS if kind == "vqa" else CAPTIONS
    task_state = TaskState(KINDS[kind], tokenizer.state(), labels, size, length, cleaning)
    source = {"kind": "official", "model_type": "ALBEF", "file": args.checkpoint.name}
    write_checkpoint(args.out, model, task_state, source)
    print(model.conversion)
    print(f"written to {args.out}: {kind}, task {KINDS[kind]}")
    return 0
