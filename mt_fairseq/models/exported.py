"""Reading a folder that ``python -m mt_fairseq.convert export`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file

from mt_fairseq.data.files import read_json
from mt_fairseq.data.metadata import LABEL_FILE, read_labels
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.errors import UserError

FORMAT, VERSION = "mt_fairseq", 1
WEIGHTS_FILE, CONFIG_FILE = "model.safetensors", "config.json"


def is_exported(path: str | Path) -> bool:
    """Whether a path is a folder with weights and configuration."""
    return (Path(path) / WEIGHTS_FILE).is_file() and (Path(path) / CONFIG_FILE).is_file()


def read_exported(folder: Path) -> dict[str, Any]:
    """The folder's content in the form of a checkpoint: cfg, task_state and model.

    Raises:
        UserError: files that are damaged, or of another program or version.
    """
    config = read_json(folder / CONFIG_FILE)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(
            f"{folder / CONFIG_FILE}: not a model that `mt_fairseq.convert export` wrote"
        )
    if config.get("version") != VERSION:
        raise UserError(
            f"{folder / CONFIG_FILE}: format version {config.get('version')}, this code reads "
            f"{VERSION}"
        )
    try:
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise UserError(f"{folder / WEIGHTS_FILE}: can't be read ({error})") from error
    labels = folder / LABEL_FILE
    task_state = {
        **config["task_state"],
        "tokenizer": TextTokenizer.load(folder).state(),
        "labels": read_labels(labels) if labels.is_file() else None,
    }
    cfg = {name: config.get(name) for name in ("model", "task", "criterion")}
    return {"cfg": cfg, "task_state": task_state, "model": weights}
