"""The checkpoint that a training starts from: it is there, and its training can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairseq import optim
from fairseq.criterions import CRITERION_REGISTRY
from omegaconf import DictConfig

from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import read_checkpoint
from mt_fairseq.models.exported import is_exported
from mt_fairseq.models.starting_point import LAST, StartingPoint, find_starting_point
from mt_fairseq.run_checks.files import REMOTE, check_file

RESETS = ("reset_optimizer", "reset_lr_scheduler", "reset_meters", "reset_dataloader")
ALL_RESETS = "--reset-optimizer --reset-lr-scheduler --reset-meters --reset-dataloader"


def check_start(cfg: DictConfig, read: bool) -> None:
    """UserError for a checkpoint that a training cannot start from.

    fairseq trains from fresh weights where the file is not there.

    Args:
        cfg: the configuration of a whole training.
        read: look into the file too, which must then be a checkpoint of this package.
    """
    check_combination(cfg.checkpoint)
    start = starting_point(cfg)
    if start is None or REMOTE in str(start.path):
        return
    if is_exported(start.path):
        raise UserError(
            f"{start.option} {start.path}: an exported folder cannot be trained; name the "
            "checkpoint that it was exported from"
        )
    check_named(start, cfg.checkpoint.save_dir)
    if start.resumes and read:
        check_resumable(cfg, start, read_checkpoint(start.path))


def starting_point(cfg: DictConfig) -> StartingPoint | None:
    """By the rules of fairseq's trainer; of shards, the first."""
    checkpoint, distributed = cfg.checkpoint, cfg.distributed_training
    suffix = checkpoint.checkpoint_suffix or ""
    if distributed.ddp_backend == "fully_sharded" and distributed.use_sharded_state:
        suffix += "-shard0"
    return find_starting_point(
        checkpoint.save_dir,
        checkpoint.restore_file,
        checkpoint.finetune_from_model,
        checkpoint.get("continue_once"),
        suffix,
    )


def check_combination(checkpoint: DictConfig) -> None:
    """Options that fairseq refuses together, after it has built the model."""
    if not checkpoint.finetune_from_model:
        return
    if checkpoint.restore_file != LAST:
        raise UserError(
            "give --restore-file to resume a training or --finetune-from-model to start one, "
            "not both"
        )
    if any(checkpoint[name] for name in RESETS):
        raise UserError(f"--finetune-from-model resets everything itself: leave out {ALL_RESETS}")


def check_named(start: StartingPoint, save_dir: str) -> None:
    """As ``check_file``; says where a file of that name is, if it is in ``--save-dir``."""
    beside = Path(save_dir) / start.path
    if not start.path.exists() and beside.is_file():
        raise UserError(f"{start.option} {start.path}: no such file; there is {beside}")
    check_file(start.option, start.path)


def check_resumable(cfg: DictConfig, start: StartingPoint, state: dict[str, Any]) -> None:
    """UserError where a checkpoint is of another task, loss, optimizer, precision or metric."""
    source = f"{start.option} {start.path}"
    checkpoint = cfg.checkpoint
    theirs, own = state["task_state"].get("task"), cfg.task._name
    if theirs != own and not (checkpoint.reset_optimizer and checkpoint.reset_dataloader):
        raise UserError(
            f"{source}: is of --task {theirs}, not {own}, so it cannot be resumed; start from it "
            f"with {_another_start(start)}"
        )
    if not checkpoint.reset_optimizer:
        check_optimizer(cfg, start, state)
        if not checkpoint.reset_meters:
            check_same_metric(cfg, source, state)


def check_optimizer(cfg: DictConfig, start: StartingPoint, state: dict[str, Any]) -> None:
    """What fairseq asserts of the loss and the optimizer, and that there is one at all."""
    source = f"{start.option} {start.path}"
    last = (state.get("optimizer_history") or [{}])[-1]
    if state.get("last_optimizer_state") is None:
        if last.get("num_updates"):
            raise UserError(
                f"{source}: was saved without the optimizer's state, so it cannot be resumed; "
                f"start from it with {_another_start(start)}"
            )
        return
    own_loss = CRITERION_REGISTRY[cfg.criterion._name].__name__
    if last.get("criterion_name") != own_loss:
        raise UserError(
            f"{source}: was trained with another --criterion ({last.get('criterion_name')}, not "
            f"{own_loss}): resume with the same, or start from it with {_another_start(start)}"
        )
    theirs, own = last.get("optimizer_name"), optimizer_name(cfg)
    if theirs != own:
        raise UserError(
            f"{source}: {_of_optimizer(theirs)}, this run {_of_optimizer(own)}: resume with the "
            "same --fp16, --bf16 and --optimizer, or add --reset-optimizer"
        )


def optimizer_name(cfg: DictConfig) -> str:
    """Name of the class that fairseq's trainer wraps the optimizer in, or of the optimizer's."""
    common = cfg.common
    if common.fp16 or common.bf16 or common.amp:
        if common.memory_efficient_fp16 or common.memory_efficient_bf16:
            return optim.MemoryEfficientFP16Optimizer.__name__
        if cfg.distributed_training.ddp_backend == "fully_sharded" and common.fp16:
            return optim.MemoryEfficientFP16Optimizer.__name__
        return (optim.AMPOptimizer if common.amp else optim.FP16Optimizer).__name__
    return optim.OPTIMIZER_REGISTRY[cfg.optimizer._name].__name__


def _of_optimizer(name: str | None) -> str:
    half = {
        optim.FP16Optimizer.__name__: "in half precision",
        optim.MemoryEfficientFP16Optimizer.__name__: "in memory-efficient half precision",
        optim.AMPOptimizer.__name__: "in automatic mixed precision",
    }
    return f"trains {half[name]}" if name in half else f"trains in float32 ({name})"


def check_same_metric(cfg: DictConfig, source: str, state: dict[str, Any]) -> None:
    """fairseq goes on comparing with the best value so far, whatever it is a value of."""
    if cfg.dataset.disable_validation or "best" not in state.get("extra_state", {}):
        return
    theirs = (state["cfg"].get("checkpoint") or {}).get("best_checkpoint_metric")
    own = cfg.checkpoint.best_checkpoint_metric
    if theirs is not None and theirs != own:
        raise UserError(
            f"{source}: its best checkpoint was chosen by {theirs}, this run chooses by {own}: "
            "resume with the same --best-checkpoint-metric, or add --reset-meters"
        )


def _another_start(start: StartingPoint) -> str:
    """How to take the weights alone."""
    if start.option == "--save-dir":
        return "--finetune-from-model and another --save-dir"
    return "--finetune-from-model"
