"""From a checkpoint file to a model and its task, with nothing but that file at hand."""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from fairseq import checkpoint_utils, tasks
from fairseq.dataclass.configs import FairseqConfig
from fairseq.dataclass.utils import merge_with_parent
from omegaconf import DictConfig, OmegaConf

from mt_fairseq.errors import UserError
from mt_fairseq.models.averaged import take_average
from mt_fairseq.models.exported import is_exported, read_exported

USE_EMA = "use_ema"
"""fairseq-generate and -validate take averaged weights by --model-overrides "{'use_ema': True}"."""
NAMES = ("checkpoint_best.pt", "checkpoint_last.pt")


@dataclass
class LoadedCheckpoint:
    """A checkpoint's file, its configuration (that of its training run), task and model."""

    path: Path
    cfg: DictConfig
    task: Any
    model: Any


def find_checkpoint(path: str | Path) -> Path:
    """A file as it is; in a folder, the best checkpoint, or else the last one.

    Raises UserError if there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path}: no such checkpoint file or folder")
    for name in NAMES:
        if (path / name).is_file():
            return path / name
    raise UserError(f"{path}: holds neither {' nor '.join(NAMES)}; name the checkpoint file")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint of this package, tensors mapped from disk, by the safe loader.

    Raises UserError if the file is damaged or was written by something else.
    """
    importlib.import_module("mt_fairseq.plugin")  # allows fairseq's argparse.Namespace
    try:
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # zip, pickle and i/o errors alike: the file can't be read
        lines = str(error).splitlines() or [type(error).__name__]
        raise UserError(f"{path}: not a checkpoint that can be read ({lines[0]})") from error
    if not isinstance(state, dict) or not state.get("cfg") or not state.get("task_state"):
        raise UserError(f"{path}: not a checkpoint that fairseq-train wrote for this package")
    return state


def find_and_read(path: str | Path) -> tuple[Path, dict[str, Any]]:
    """A checkpoint's file, or an exported folder, and its content.

    Args:
        path: a checkpoint, a folder of checkpoints, or an exported folder.

    Raises UserError as ``find_checkpoint``, ``read_checkpoint`` and ``read_exported``.
    """
    if is_exported(path):
        importlib.import_module("mt_fairseq.plugin")
        return Path(path), read_exported(Path(path))
    found = find_checkpoint(path)
    return found, read_checkpoint(found)


def load_checkpoint(path: str | Path, ema: bool = False) -> LoadedCheckpoint:
    """Rebuild task and model; the data-bin of the training run is not needed.

    Args:
        path: a checkpoint, a folder of checkpoints, or an exported folder.
        ema: take the moving average of its weights, which ``--store-ema`` kept.

    Heads that the task has and the checkpoint lacks are taken off again.

    Raises UserError for a file that is no checkpoint of a task of this package, or has no average.
    """
    path, state = find_and_read(path)
    if ema:
        state = take_average(state, path)
    cfg = OmegaConf.create(state["cfg"])
    task = tasks.TASK_REGISTRY[_task_name(cfg, path)](_task_options(cfg, path), None)
    task.load_state_dict(state["task_state"])
    model = task.build_model(cfg.model, from_checkpoint=True)
    model.load_state_dict(state["model"], strict=True, model_cfg=cfg.model)
    return LoadedCheckpoint(path, cfg, task, model.eval())


def _task_name(cfg: DictConfig, path: Path) -> str:
    name = str(cfg.task._name)
    if name not in tasks.TASK_DATACLASS_REGISTRY:
        raise UserError(
            f"{path}: is of task {name!r}, which is not registered: name the --user-dir of its "
            "training"
        )
    return name


def _task_options(cfg: DictConfig, path: Path) -> DictConfig:
    """All options of a checkpoint's task, with the defaults of those that it does not hold."""
    dataclass = tasks.TASK_DATACLASS_REGISTRY[_task_name(cfg, path)]
    options = merge_with_parent(dataclass(), cfg.task, remove_missing=True)
    options.path = str(path)  # so that the task doesn't go and look for one to resume from
    return options


def let_fairseq_read_folders() -> None:
    """fairseq-generate and -validate take an exported folder as ``--path``, and averaged weights by
    ``USE_EMA``; to be called once.
    """
    original = checkpoint_utils.load_checkpoint_to_cpu

    @functools.wraps(original)
    def load_checkpoint_to_cpu(path: str, arg_overrides: Any = None, **kwargs: Any) -> Any:
        overrides = dict(arg_overrides or {})
        ema = overrides.pop(USE_EMA, False)
        if is_exported(path):
            state = _read_for_fairseq(Path(path), overrides)
        else:
            state = original(path, overrides, **kwargs)
        return take_average(state, path) if ema else state

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def _read_for_fairseq(folder: Path, overrides: dict[str, Any]) -> dict[str, Any]:
    """An exported folder's content with all of fairseq's options."""
    state = read_exported(folder)
    cfg = DictConfig(OmegaConf.to_container(OmegaConf.structured(FairseqConfig())))
    cfg.update(state["cfg"])
    cfg.task = _task_options(cfg, folder)
    checkpoint_utils.overwrite_args_by_name(cfg, overrides)
    return {**state, "cfg": cfg}
