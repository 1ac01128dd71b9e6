"""Which checkpoint a training starts from: fairseq's rules, in one place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

LAST = "checkpoint_last.pt"  # fairseq's own value of --restore-file, which need not exist


class StartingPoint(NamedTuple):
    """A checkpoint, the option that names it, and whether its training is resumed with it."""

    path: Path
    option: str
    resumes: bool


def find_starting_point(
    save_dir: str,
    restore_file: str,
    finetune_from_model: str | None,
    continue_once: str | None = None,
    suffix: str = "",
) -> StartingPoint | None:
    """The checkpoint of a training's options, or None where it starts from fresh weights.

    A file that the user names is given whether it exists or not, the last checkpoint of
    ``save_dir`` only where it is there.

    Args:
        save_dir, restore_file, finetune_from_model, continue_once: fairseq's options.
        suffix: what fairseq puts before ``.pt``, of a shard say.

    Source: fairseq.checkpoint_utils.load_checkpoint.
    """
    if restore_file != LAST:
        path = Path(restore_file.replace(".pt", f"{suffix}.pt"))
        return StartingPoint(path, "--restore-file", True)
    last = Path(save_dir) / LAST.replace(".pt", f"{suffix}.pt")
    if last.is_file():
        return StartingPoint(last, "--save-dir", True)
    if continue_once:
        return StartingPoint(Path(continue_once), "--continue-once", True)
    if finetune_from_model:
        return StartingPoint(Path(finetune_from_model), "--finetune-from-model", False)
    return None
