"""Options of a build as one frozen value, checked once."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mt_fairseq.command_line import checked, parse_shard, positive_int
from mt_fairseq.data.text_cleaning import CLEANINGS
from mt_fairseq.errors import UserError

IMAGES_PER_PACK = 4096
VOCAB_SIZE = 8000
MAX_TEXT_LEN = 50


@dataclass(frozen=True)
class Options:
    """What the command line of a build says (see :func:`add_options` for each)."""

    dataset: str
    dest: Path
    tokenizer: str
    vocab_size: int
    workers: int
    shard: tuple[int, int] | None
    resume: bool
    overwrite: bool
    skip_bad: bool
    resize: int | None
    store: str
    min_answer_count: int
    answer_list: Path | None
    splits: tuple[str, ...] | None
    max_text_len: int
    clean_text: str | None
    images_per_pack: int


def add_options(parser: argparse.ArgumentParser, has_answers: bool) -> None:
    """Options that every dataset shares."""
    files = parser.add_argument_group("files")
    files.add_argument("--raw", required=True, metavar="DIR", help="folder with the raw files")
    files.add_argument("--dest", required=True, metavar="DIR", help="data-bin folder to write")
    files.add_argument("--image-root", metavar="DIR", help="picture folder (default: --raw)")
    files.add_argument(
        "--splits", metavar="A,B", help="splits to write (default: all that are there)"
    )
    files.add_argument(
        "--resume",
        action="store_true",
        help="go on where an earlier run was stopped; finished packs are kept",
    )
    files.add_argument("--overwrite", action="store_true", help="replace the data-bin at --dest")
    text = parser.add_argument_group("text")
    text.add_argument(
        "--tokenizer",
        default="sentencepiece",
        metavar="NAME",
        help="sentencepiece: train one on these texts (default); or a transformers "
        "tokenizer by hub name (roberta-base) or local folder; or another data-bin, "
        "so that pre-training and fine-tuning share ids",
    )
    text.add_argument(
        "--vocab-size",
        type=positive_int,
        default=VOCAB_SIZE,
        metavar="N",
        help=f"symbols of a trained tokenizer, special ones included ({VOCAB_SIZE})",
    )
    text.add_argument(
        "--max-text-len",
        type=positive_int,
        default=MAX_TEXT_LEN,
        metavar="N",
        help="count and report texts longer than this many tokens, <s> and </s> "
        f"included; they are stored whole, training cuts them ({MAX_TEXT_LEN})",
    )
    text.add_argument(
        "--clean-text",
        choices=list(CLEANINGS),
        help="clean texts as ALBEF's official code does: lower case, no punctuation, 30 words of a "
        "caption, 50 of a question (default: texts as they are)",
    )
    if has_answers:
        _add_answer_options(parser)
    images = parser.add_argument_group("images")
    images.add_argument(
        "--resize",
        type=positive_int,
        metavar="S",
        help="shrink to shorter side S and store as JPEG; smaller pictures stay "
        "as they are (default: keep every file as it came)",
    )
    images.add_argument(
        "--store",
        choices=["encoded", "pixels"],
        default="encoded",
        help="pixels: store decoded RGB, fastest to read and large; best with "
        "--resize (default: encoded)",
    )
    images.add_argument(
        "--images-per-pack",
        type=positive_int,
        default=IMAGES_PER_PACK,
        metavar="N",
        help=f"images in one pack file ({IMAGES_PER_PACK})",
    )
    work = parser.add_argument_group("work")
    work.add_argument(
        "--workers",
        type=positive_int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that read pictures (default: all cores); changes no byte",
    )
    work.add_argument(
        "--shard",
        type=checked(parse_shard),
        metavar="I/N",
        help="write only the I-th of N parts of the image packs (I from 1); when all "
        "parts are in the same folder, run once with --resume and without --shard",
    )
    work.add_argument(
        "--on-error",
        choices=["fail", "skip"],
        default="fail",
        help="a bad record or picture: stop and name it (fail, default), or leave "
        "it out and list it in metadata.json (skip)",
    )


def _add_answer_options(parser: argparse.ArgumentParser) -> None:
    answers = parser.add_argument_group("answers")
    answers.add_argument(
        "--min-answer-count",
        type=positive_int,
        default=9,
        metavar="N",
        help="answers given to at least N questions become classes (9)",
    )
    answers.add_argument(
        "--answer-list",
        metavar="FILE",
        help="take the classes from a file instead: JSON list, JSON object "
        "answer -> class, or one answer a line",
    )


def options_of(args: argparse.Namespace) -> Options:
    """Check the options against each other; UserError names the one that is wrong."""
    if args.resume and args.overwrite:
        raise UserError("give either --resume or --overwrite, not both")
    answer_list = getattr(args, "answer_list", None)
    return Options(
        dataset=args.dataset,
        dest=Path(args.dest),
        tokenizer=args.tokenizer,
        vocab_size=args.vocab_size,
        workers=args.workers,
        shard=args.shard,
        resume=args.resume,
        overwrite=args.overwrite,
        skip_bad=args.on_error == "skip",
        resize=args.resize,
        store=args.store,
        min_answer_count=getattr(args, "min_answer_count", 1),
        answer_list=Path(answer_list) if answer_list else None,
        splits=tuple(args.splits.split(",")) if args.splits else None,
        max_text_len=args.max_text_len,
        clean_text=args.clean_text,
        images_per_pack=args.images_per_pack,
    )


def deciding(options: Options) -> dict[str, Any]:
    """The options that decide the bytes of a data-bin: a resumed run must name the same.

    ``--on-error`` is none of them: a run that failed may go on with ``skip``.
    """
    return {
        "clean_text": options.clean_text,
        "dataset": options.dataset,
        "images_per_pack": options.images_per_pack,
        "max_text_len": options.max_text_len,
        "min_answer_count": options.min_answer_count,
        "resize": options.resize,
        "splits": list(options.splits) if options.splits else None,
        "store": options.store,
        "vocab_size": options.vocab_size,
    }
