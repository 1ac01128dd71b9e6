"""Files and folders that options name: those to read are there, those to write can be written."""

from __future__ import annotations

import os
from pathlib import Path

from fairseq import utils
from fairseq.checkpoint_utils import get_maybe_sharded_checkpoint_filename
from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import NAMES, read_checkpoint
from mt_fairseq.models.exported import is_exported

REMOTE = "://"  # of storage that fairseq reaches through iopath; nothing is asked of it here


def check_file(option: str, path: str | Path) -> None:
    """UserError unless a checkpoint file stands there."""
    path = Path(path)
    if path.is_dir():
        inside = [name for name in NAMES if (path / name).is_file()]
        hint = f"name the file in it, {path / inside[0]}" if inside else "name a checkpoint file"
        raise UserError(f"{option} {path}: is a folder; {hint}")
    if not path.is_file():
        raise UserError(f"{option} {path}: no such file")


def check_models(cfg: DictConfig, read: bool) -> None:
    """UserError unless ``--path`` names checkpoints, or exported folders, that can be read.

    fairseq-generate takes several with ``:`` between them.

    Args:
        cfg: the configuration of a whole run.
        read: look into the files too, which must then be checkpoints of this package.
    """
    paths = cfg.common_eval.path
    if not paths:
        raise UserError("--path: name the checkpoint to evaluate")
    for path in utils.split_paths(paths):
        check_model("--path", path, cfg, read)
    if cfg.generation.lm_path:
        check_model("--lm-path", cfg.generation.lm_path, cfg, read=False)


def check_model(option: str, path: str, cfg: DictConfig, read: bool) -> None:
    """One checkpoint, all of its shards, or an exported folder."""
    if REMOTE in path or is_exported(path):
        return
    suffix, shards = cfg.checkpoint.checkpoint_suffix or "", cfg.checkpoint.checkpoint_shard_count
    for shard in range(shards):
        name = get_maybe_sharded_checkpoint_filename(path, suffix, shard, shards)
        check_file(option, name)
        if read:
            read_checkpoint(Path(name))


def check_one_model(cfg: DictConfig, read: bool) -> None:
    """As ``check_models`` for fairseq-validate, which reads one checkpoint only."""
    paths = utils.split_paths(cfg.common_eval.path or "")
    if len(paths) > 1:
        raise UserError(
            f"--path {cfg.common_eval.path}: fairseq-validate takes one checkpoint, not "
            f"{len(paths)}"
        )
    check_models(cfg, read)
    if cfg.task is not None and read and Path(paths[0]).is_file():
        theirs = read_checkpoint(Path(paths[0]))["task_state"].get("task")
        if theirs != cfg.task._name:
            raise UserError(
                f"--path {paths[0]}: is of --task {theirs}, and is validated on that task's losses "
                f"alone, not on those of {cfg.task._name}"
            )


def check_writable(option: str, path: str | None) -> None:
    """UserError if a folder to write into cannot be made or written; it is not made here."""
    if not path or REMOTE in path:
        return
    nearest = Path(path).absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise UserError(f"{option} {path}: {nearest} is not a folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{option} {path}: {nearest} cannot be written")
