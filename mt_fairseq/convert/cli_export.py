"""``python -m mt_fairseq.convert export``: a checkpoint -> a folder to hand on."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mt_fairseq.models.checkpoint import LoadedCheckpoint

PATH_OPTIONS = ("data", "save_dir", "restore_file", "finetune_from_model", "path")

EPILOG = """\
written to the folder:
  model.safetensors         weights; nothing in the folder can run code
  config.json               model, task, resolution and text length
  tokenizer.json or sentencepiece.bpe.model, special_tokens_map.json
  preprocessor_config.json  image-processor settings in transformers' format
  dict.label.txt            answers or classes, where the task has them
  README.md                 model card: data, resolution, score to expect, how to use it

The score is the checkpoint's best validation metric unless --score is given; of a converted
official checkpoint it is the paper's, and of averaged weights (--ema) it is not known.

examples:
  python -m mt_fairseq.convert export checkpoints/vqa --out exported/vqa
  python -m mt_fairseq.convert export vqa.pt --out exported/vqa --data "VQAv2 train + val" \\
      --score "79.15 VQA accuracy on test-std"
  python -c "from mt_fairseq import ManagerTower; ManagerTower.from_pretrained('exported/vqa')"
"""


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "export",
        help="a checkpoint -> folder with safetensors, tokenizer, settings and model card",
        description="Write a checkpoint as a folder that from_pretrained reads.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint", type=Path, help="checkpoint file, or a folder with a best or last one"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument(
        "--ema", action="store_true", help="take the averaged weights that --store-ema kept"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model in --out")
    parser.add_argument("--data", help="what it was trained on (default: the data-bin's name)")
    parser.add_argument("--score", help="score to expect (default: see above)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from mt_fairseq.errors import UserError
    from mt_fairseq.models.averaged import take_average
    from mt_fairseq.models.checkpoint import find_checkpoint, load_checkpoint, read_checkpoint
    from mt_fairseq.models.exported import CONFIG_FILE

    if args.out.exists() and not args.out.is_dir():
        raise UserError(f"--out {args.out}: is a file; name a folder")
    if (args.out / CONFIG_FILE).exists() and not args.overwrite:
        raise UserError(f"--out {args.out}: holds a model already; add --overwrite to replace it")
    path = find_checkpoint(args.checkpoint)
    state = read_checkpoint(path)
    if args.ema:
        state = take_average(state, path)
    written = export(load_checkpoint(path, args.ema), state, args.out, args.data, args.score)
    print(f"written to {args.out}: {', '.join(written)}")
    return 0


def export(
    checkpoint: LoadedCheckpoint,
    state: dict[str, Any],
    out: Path,
    data: str | None = None,
    score: str | None = None,
) -> list[str]:
    """Write the folder, config.json last, so that its presence means that all is there.

    Args:
        checkpoint: the loaded checkpoint.
        state: the content of its file.
        out: the folder.
        data: what it was trained on, for the card; None: the data-bin's name.
        score: the score to expect; None: the checkpoint's own, or the paper's.

    Returns:
        The names of the files.

    Raises:
        UserError: the folder can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from mt_fairseq.convert.model_card import model_card
    from mt_fairseq.convert.processor import settings_of
    from mt_fairseq.convert.tokenizer_files import save_tokenizer
    from mt_fairseq.data.files import atomic_path, full_disk_is_clear, write_json, write_text
    from mt_fairseq.data.metadata import LABEL_FILE, label_lines
    from mt_fairseq.data.tokenizer import SPECIALS_FILE
    from mt_fairseq.errors import UserError
    from mt_fairseq.models.exported import CONFIG_FILE, WEIGHTS_FILE

    with full_disk_is_clear(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / CONFIG_FILE).unlink(missing_ok=True)
        (out / LABEL_FILE).unlink(missing_ok=True)
    save_tokenizer(checkpoint.task.tokenizer, out)
    tensors = {name: tensor.contiguous() for name, tensor in state["model"].items()}
    try:
        with atomic_path(out / WEIGHTS_FILE) as temporary:
            save_file(tensors, temporary, metadata={"format": "pt"})
            shutil.copymode(out / SPECIALS_FILE, temporary)  # else nobody else may read it
    except SafetensorError as error:
        raise UserError(f"{out / WEIGHTS_FILE}: can't be written ({error})") from error
    if checkpoint.task.labels is not None:
        write_text(out / LABEL_FILE, label_lines(checkpoint.task.labels))
    write_json(out / "preprocessor_config.json", settings_of(checkpoint))
    write_text(out / "README.md", model_card(checkpoint, state, data, score))
    write_json(out / CONFIG_FILE, _configuration(state))
    return sorted(path.name for path in out.iterdir())


def _configuration(state: dict[str, Any]) -> dict[str, Any]:
    """config.json: what rebuilds model and task; no path of the machine that trained it."""
    from mt_fairseq.models.exported import FORMAT, VERSION

    task = {key: value for key, value in state["cfg"]["task"].items() if key not in PATH_OPTIONS}
    own = ("tokenizer", "labels")  # in files of their own
    return {
        "format": FORMAT,
        "version": VERSION,
        "model": dict(state["cfg"]["model"]),
        "task": {**task, "data": ""},
        "criterion": state["cfg"].get("criterion"),
        "task_state": {k: v for k, v in state["task_state"].items() if k not in own},
    }
