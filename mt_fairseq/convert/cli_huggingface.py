"""``python -m mt_fairseq.convert huggingface``: transformers' BridgeTower in and out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from mt_fairseq.command_line import whole_number

EPILOG = """\
In: a local folder or a hub name with a BridgeTowerModel, ForMaskedLM, ForImageAndTextRetrieval or
ForContrastiveLearning, and its tokenizer. Out: a BridgeTower checkpoint of fairseq's, or an
exported folder. Both print what was mapped, missing and left over; leftovers end the conversion
unless --allow-leftovers is given.

transformers' own image processor keeps a picture's shape and pads; ours cuts the centre square, at
the resolution of the model's position table.

examples:
  python -m mt_fairseq.convert huggingface folders/bridgetower-base-itm-mlm --out bridgetower.pt
  python -m mt_fairseq.convert huggingface checkpoints/pretrain/checkpoint_best.pt \\
      --to folders/mine --head itm
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "huggingface",
        help="transformers' BridgeTower -> fairseq checkpoint, and back",
        description="Convert transformers' BridgeTower to a fairseq checkpoint, and back.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="in: local folder or hub name; out: fairseq checkpoint")
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--out", type=Path, help="in: fairseq checkpoint to write")
    way.add_argument("--to", type=Path, metavar="FOLDER", help="out: transformers folder to write")
    parser.add_argument(
        "--tokenizer", help="in: folder, data-bin or hub name (default: the model's own)"
    )
    parser.add_argument(
        "--text-length",
        type=whole_number(3),
        default=50,
        help="in: longest text in tokens (default: 50)",
    )
    parser.add_argument(
        "--head",
        choices=["mlm", "itm", "itc", "none"],
        help="out: the head that decides the class (default: the only one)",
    )
    parser.add_argument(
        "--allow-leftovers", action="store_true", help="go on without tensors that have no place"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return _write_theirs(args) if args.to else _write_ours(args)


def load_huggingface(name: str) -> Any:
    """The transformers model of a folder or a hub name, weights from safetensors or safely loaded.

    Raises:
        UserError: it can't be had, or is no BridgeTower.
    """
    from mt_fairseq.convert.huggingface import CLASSES
    from mt_fairseq.errors import UserError
    from mt_fairseq.modules import hf

    folder = Path(name).expanduser()
    looks_local = folder.exists() or name.count("/") > 1 or name.startswith((".", "/", "~"))
    if looks_local and not (folder / "config.json").is_file():
        raise UserError(f"{name}: no folder with a config.json")
    try:
        with hf.quiet_transformers():
            config = _pretrained(hf.AutoConfig, name, folder.is_dir())
            if config.model_type != "bridgetower":
                raise UserError(f"{name}: is a {config.model_type}, not a BridgeTower")
            kind = (config.architectures or ["BridgeTowerModel"])[0]
            if kind not in CLASSES.values():
                raise UserError(f"{name}: is a {kind}, not one of {', '.join(CLASSES.values())}")
            model = _pretrained(getattr(hf, kind), name, folder.is_dir())
    except UserError:
        raise
    except Exception as error:  # of transformers, huggingface_hub, httpx, safetensors, json ...
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{name}: neither a local folder with a BridgeTower nor within reach on the hub "
            f"({reason})"
        ) from error
    return model.eval()


def _pretrained(kind: Any, name: str, local: bool) -> Any:
    """From a folder or the cache; from the hub only if it answers at the first attempt."""
    try:
        return kind.from_pretrained(name, local_files_only=True)
    except Exception:  # not in the cache
        if local:
            raise
    import huggingface_hub

    huggingface_hub.HfApi().model_info(name, timeout=10)
    return kind.from_pretrained(name)


def _write_ours(args: argparse.Namespace) -> int:
    from mt_fairseq.convert import from_huggingface
    from mt_fairseq.convert.checkpoint_file import check_out, write_checkpoint
    from mt_fairseq.convert.messages import about_task
    from mt_fairseq.convert.task_parts import TASKS, guess_task, read_tokenizer
    from mt_fairseq.errors import UserError
    from mt_fairseq.tasks.task_state import TaskState

    check_out(args.out)
    theirs = load_huggingface(args.model)
    text = theirs.config.text_config
    longest = text.max_position_embeddings - text.pad_token_id - 1
    if not 3 <= args.text_length <= longest:
        raise UserError(f"--text-length {args.text_length}: give 3 to {longest}")
    tokenizer = read_tokenizer(args.tokenizer or args.model, text.vocab_size, text.pad_token_id)
    model = from_huggingface(theirs, args.allow_leftovers)
    task = guess_task(list(model.heads))
    height, width = model.network.vision_encoder.image_size
    state = TaskState(TASKS[task], tokenizer.state(), None, (height, width), args.text_length)
    write_checkpoint(args.out, model, state, {"kind": "huggingface", "file": Path(args.model).name})
    print(model.conversion)
    print(f"written to {args.out}: {about_task(task)}")
    return 0


def _write_theirs(args: argparse.Namespace) -> int:
    from mt_fairseq.convert import to_huggingface
    from mt_fairseq.convert.processor import settings_of
    from mt_fairseq.convert.tokenizer_files import save_tokenizer
    from mt_fairseq.data.files import full_disk_is_clear, write_json
    from mt_fairseq.errors import UserError
    from mt_fairseq.models.checkpoint import load_checkpoint
    from mt_fairseq.modules import hf

    if (args.to / "config.json").exists():
        raise UserError(f"--to {args.to}: holds a model already; name another folder")
    checkpoint = load_checkpoint(args.model)
    head = "" if args.head == "none" else args.head
    if head and head not in checkpoint.model.heads:
        raise UserError(
            f"--head {head}: the checkpoint's heads are {', '.join(checkpoint.model.heads)}"
        )
    theirs = to_huggingface(checkpoint.model, head, args.allow_leftovers)
    with full_disk_is_clear(args.to), hf.quiet_transformers():
        args.to.mkdir(parents=True, exist_ok=True)
        theirs.save_pretrained(args.to)
    save_tokenizer(checkpoint.task.tokenizer, args.to)
    write_json(args.to / "preprocessor_config.json", settings_of(checkpoint))
    print(theirs.conversion)
    print(f"written to {args.to}: a {type(theirs).__name__}")
    return 0
