"""Reading PyTorch Lightning files by the safe loader alone.

Old Lightning files hold a few objects beside their tensors: hyper-parameters in a dictionary of
its own, and callbacks' classes as keys. Inert classes of the same names stand in for those, so
that nothing of the file is ever run; any other object is refused.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mt_fairseq.errors import UserError


class _Callback:
    """Stands in for the class of a callback, which old versions take as a dictionary's key."""


STAND_INS = [
    (OrderedDict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    (_Callback, "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint"),
    (_Callback, "pytorch_lightning.callbacks.lr_monitor.LearningRateMonitor"),
    (_Callback, "pytorch_lightning.callbacks.early_stopping.EarlyStopping"),
]


def read_foreign(path: Path) -> dict[str, Any]:
    """Any checkpoint file's content, tensors mapped from disk where the file allows it.

    Raises:
        UserError: no such file, a damaged one, or one that holds more than plain data.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    stand_ins: list[Any] = list(STAND_INS)
    try:
        with torch.serialization.safe_globals(stand_ins):
            content = _load(path)
    except Exception as error:  # zip, pickle and i/o errors alike: the file can't be read
        raise UserError(f"{path}: {_reason(error)}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a checkpoint")
    return content


def read_official(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """State dict and hyper-parameters (empty where there are none) of a Lightning file.

    A file with nothing but the state dict will do.

    Raises:
        UserError: see :func:`read_foreign`; or no tensors in it.
    """
    content = read_foreign(path)
    state = content.get("state_dict", content)
    if not isinstance(state, dict) or not state or not all(map(torch.is_tensor, state.values())):
        raise UserError(f"{path}: has no state_dict of tensors; is it a Lightning checkpoint?")
    hyper = content.get("hyper_parameters")
    config = hyper.get("config", hyper) if isinstance(hyper, dict) else {}
    return dict(state), dict(config) if isinstance(config, dict) else {}


def _load(path: Path) -> Any:
    with open(path, "rb") as stream:
        is_zip = stream.read(2) == b"PK"  # older torch wrote another format, which can't be mapped
    return torch.load(path, map_location="cpu", mmap=is_zip, weights_only=True)


def _reason(error: Exception) -> str:
    """One line: the object that the safe loader refuses, or what is wrong with the file."""
    message = str(error)
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(r"class `?([\w.]+)", message)
    if "eights only load failed" in message and found:
        return (
            f"holds a pickled {found[1]}, which could run code when read: on a machine where you "
            "trust the file, save its state_dict alone, and convert that"
        )
    lines = message.splitlines() or [type(error).__name__]
    return f"not a checkpoint that can be read ({lines[0].split('. This file can still')[0]})"
