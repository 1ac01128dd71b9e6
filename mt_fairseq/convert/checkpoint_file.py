"""Writing a converted model as a checkpoint that fairseq's own commands read."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import torch
from fairseq import tasks
from fairseq.dataclass.configs import FairseqConfig
from omegaconf import OmegaConf

from mt_fairseq.data.files import atomic_file, full_disk_is_clear
from mt_fairseq.errors import UserError
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.tasks.task_state import TaskState

NEVER_TRAINED = "converted"  # stands where fairseq names criterion and optimizer of the run


def check_out(path: Path) -> None:
    """UserError for a place that can't take the checkpoint; to be called before any work."""
    if path.is_dir():
        raise UserError(f"--out {path}: is a folder; name the checkpoint file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {path}: can't be written ({error.strerror})") from error


def write_checkpoint(
    path: Path, model: TwoTowerModel, state: TaskState, source: dict[str, Any]
) -> None:
    """Write ``model`` and its task's state, whole or not at all.

    Args:
        source: plain values that say where the model comes from, kept in ``extra_state``.

    Raises:
        UserError: the file can't be written.
    """
    content = {
        "args": None,
        "cfg": _configuration(model, state),
        "model": {name: tensor.detach() for name, tensor in model.state_dict().items()},
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": NEVER_TRAINED,
                "optimizer_name": NEVER_TRAINED,
                "lr_scheduler_state": {},
                "num_updates": 0,
            }
        ],
        "task_state": state.to_dict(),
        "extra_state": {
            "train_iterator": {"version": 2, "epoch": 1, "iterations_in_epoch": 0},
            "val_loss": None,
            "metrics": {},
            "previous_training_time": 0.0,
            "source": source,
        },
        "last_optimizer_state": None,
    }
    with full_disk_is_clear(path), atomic_file(path) as stream:
        _save(content, stream)


def _save(content: dict[str, Any], stream: BinaryIO) -> None:
    """torch.save; where a write fails, torch's own clean-up fails too and hides the reason."""
    try:
        torch.save(content, stream)
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise


def _configuration(model: TwoTowerModel, state: TaskState) -> dict[str, Any]:
    """fairseq's whole configuration: its defaults around this model and task."""
    cfg = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(FairseqConfig())))
    cfg.model = OmegaConf.create(OmegaConf.to_container(model.cfg, enum_to_str=True))
    dataclass = tasks.TASK_DATACLASS_REGISTRY.get(state.task)
    options = OmegaConf.to_container(OmegaConf.structured(dataclass())) if dataclass else {}
    cfg.task = {
        **{str(key): value for key, value in dict(options or {}).items()},  # type: ignore[arg-type]
        "_name": state.task,
        "data": "",
        "image_size": "x".join(map(str, state.image_size)),
        "max_text_len": state.max_text_len,
    }
    plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}
