"""Every mend that fairseq 0.12.3 needs on today's Python and torch, each with its reason.

``apply`` runs once, when the plug-in is imported, hence before any checkpoint is read.
tests/test_compat.py holds a test for each mend.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import shutil
import warnings
from typing import Any

from mt_fairseq.compat_ema import (
    average_trained_weights_alone,
    start_averages_from_loaded_weights,
)
from mt_fairseq.compat_iterators import count_groups_of_what_is_left
from mt_fairseq.compat_options import (
    name_unknown_hydra_options,
    read_lists_strictly,
    shorten_hydra_errors,
    shorten_usage_errors,
)

HYDRA_WARNINGS = (
    "Usage of deprecated keyword in package header",
    "is validated against ConfigStore schema with the same name",
    "The strict flag in the compose API is deprecated",
    "The version_base parameter is not specified",
    "is no longer experimental",
)
OPTIMIZER_WITH_GROUPS = "adamw"
_applied = False


def apply() -> None:
    """Apply all mends; a second call changes nothing."""
    global _applied
    if _applied:
        return
    _applied = True
    allow_namespace_in_checkpoints()
    keep_bf16_off_tpu()
    keep_groups_in_half_precision()
    make_checkpoint_copies_atomic()
    keep_last_batch()
    count_groups_of_what_is_left()
    average_trained_weights_alone()
    start_averages_from_loaded_weights()
    mark_dummy_batches()
    gather_lists_without_cuda()
    hand_checkpoints_to_other_processes()
    shorten_usage_errors()
    read_lists_strictly()
    name_unknown_hydra_options()
    shorten_hydra_errors()
    undo_debug_logging()
    silence_warnings_about_fairseq()


def allow_namespace_in_checkpoints() -> None:
    """torch >= 2.6 loads with ``weights_only=True``; fairseq's files hold an argparse.Namespace.

    The safe loader stays on, this one harmless class is allowed.
    """
    import torch

    torch.serialization.add_safe_globals([argparse.Namespace])


def keep_bf16_off_tpu() -> None:
    """``--bf16`` on a command line also sets ``tpu`` in fairseq, which then looks for a TPU."""
    from fairseq.dataclass import utils

    original = utils.override_module_args

    @functools.wraps(original)
    def override_module_args(args: argparse.Namespace | None) -> tuple[list[str], list[str]]:
        if getattr(args, "bf16", False) or getattr(args, "memory_efficient_bf16", False):
            args.tpu = False  # type: ignore[union-attr]
        return original(args)

    utils.override_module_args = override_module_args


def keep_groups_in_half_precision() -> None:
    """``--fp16`` joins all parameters into one flat tensor, which loses their groups, unless
    ``--fp16-no-flatten-grads`` stands beside it (and looks for a GPU to do so). An optimizer with
    groups never wants that.
    """
    from fairseq.optim.fp16_optimizer import FP16Optimizer

    original = FP16Optimizer.build_optimizer.__func__

    @functools.wraps(original)
    def build_optimizer(cls: Any, cfg: Any, params: Any, **kwargs: Any) -> Any:
        if getattr(cfg.optimizer, "_name", None) == OPTIMIZER_WITH_GROUPS:
            cfg.common.fp16_no_flatten_grads = True
        return original(cls, cfg, params, **kwargs)

    FP16Optimizer.build_optimizer = classmethod(build_optimizer)


def copy_atomically(src_path: str, dst_path: str, overwrite: bool = False) -> bool:
    """Copy a file so that ``dst_path`` is at any moment the old file or the whole new one.

    Raises FileExistsError if the destination exists and ``overwrite`` is not set.
    """
    if not overwrite and os.path.exists(dst_path):
        raise FileExistsError(dst_path)
    partial = f"{dst_path}.tmp"
    shutil.copyfile(src_path, partial)
    os.replace(partial, dst_path)
    return True


def make_checkpoint_copies_atomic() -> None:
    """fairseq copies over checkpoint_last.pt: a kill in between leaves half a file."""
    from fairseq.file_io import PathManager

    original = PathManager.copy

    def copy(src_path: str, dst_path: str, overwrite: bool = False) -> Any:
        if "://" in src_path or "://" in dst_path:
            return original(src_path, dst_path, overwrite=overwrite)
        return copy_atomically(src_path, dst_path, overwrite)

    PathManager.copy = staticmethod(copy)


def keep_last_batch() -> None:
    """Since 0.12.3 fairseq drops the last batch of an epoch, and of an evaluation, if its size is
    no multiple of ``--required-batch-size-multiple`` (8 unless named): up to seven samples are
    never answered, and a small split is answered not at all. Earlier releases kept it.
    """
    from fairseq.data import data_utils

    original = data_utils.batch_by_size

    @functools.wraps(original)
    def batch_by_size(indices: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if len(indices) == 0:
            return []
        batches = list(original(indices, *args, **kwargs))
        batched = sum(len(batch) for batch in batches)
        if batched < len(indices):
            batches.append(indices[batched:])
        return batches

    data_utils.batch_by_size = batch_by_size


def mark_dummy_batches() -> None:
    """A process without data in a step computes on a copy of another batch, and only the trainer
    knows. Losses that compare the samples of all processes must know too: ``sample["is_dummy"]``.
    """
    from fairseq.trainer import Trainer

    original = Trainer._prepare_sample

    @functools.wraps(original)
    def _prepare_sample(self: Trainer, sample: Any, is_dummy: bool = False) -> tuple[Any, bool]:
        prepared, stands_in = original(self, sample, is_dummy)
        if stands_in:
            prepared = {**prepared, "is_dummy": True}
        return prepared, stands_in

    Trainer._prepare_sample = _prepare_sample


def gather_lists_without_cuda() -> None:
    """fairseq-validate in several processes collects its numbers in CUDA memory, also on CPUs."""
    import torch
    from fairseq.distributed import utils

    original = utils.all_gather_list

    @functools.wraps(original)
    def all_gather_list(data: Any, group: Any = None, max_size: int = 16384) -> list[Any]:
        if torch.cuda.is_available():
            return original(data, group, max_size)
        found = [None] * utils.get_world_size(group or utils.get_global_group())
        torch.distributed.all_gather_object(found, data, group=group)
        return found

    utils.all_gather_list = all_gather_list


def hand_checkpoints_to_other_processes() -> None:
    """The first process reads a checkpoint, with the safe loader, and sends it to the others, which
    refuse what they get: it has become fairseq's configuration objects. It comes from a process of
    the same run, not from a file, so it needs no second check.
    """
    import torch
    from fairseq.distributed import utils

    def _broadcast_object_slow(obj: Any, src_rank: int, group: Any, dist_device: Any) -> Any:
        held = [obj]
        torch.distributed.broadcast_object_list(held, src=src_rank, group=group, device=dist_device)
        return held[0]

    utils._broadcast_object_slow = _broadcast_object_slow


def undo_debug_logging() -> None:
    """A model of fairseq's sets the root logger to DEBUG on import, and every library chatters."""
    if os.environ.get("LOGLEVEL", "INFO").upper() != "DEBUG":
        root = logging.getLogger()
        root.setLevel(max(root.level, logging.INFO))


def silence_warnings_about_fairseq() -> None:
    """Warnings at every command that its user can do nothing about.

    fairseq pins memory always, which torch reports on a machine without accelerator; and its use
    of Hydra's older interface fills a screen.
    """
    warnings.filterwarnings("ignore", message=".*'pin_memory' argument is set as true.*")
    for message in HYDRA_WARNINGS:
        warnings.filterwarnings("ignore", message=rf"\s*.*{message}", category=UserWarning)
