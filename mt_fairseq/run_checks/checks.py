"""All checks of a fairseq command, in the order in which a user would mend things."""

from __future__ import annotations

import ast
import os
from typing import Any

import torch
from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY, TASK_REGISTRY
from omegaconf import DictConfig, OmegaConf

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.errors import UserError
from mt_fairseq.open_options import check_open_options
from mt_fairseq.run_checks.files import check_models, check_one_model, check_writable
from mt_fairseq.run_checks.metrics import check_metric
from mt_fairseq.run_checks.numbers import check_numbers
from mt_fairseq.run_checks.resume import check_start
from mt_fairseq.tasks.vision_language import VisionLanguageTask, check_train_splits

TORCHRUN = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
SLURM = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST")


def check_training(cfg: DictConfig) -> None:
    """UserError for options with which fairseq-train or fairseq-hydra-train cannot do its work."""
    check_names(cfg, ("criterion", "optimizer", "lr_scheduler"))
    check_parts(cfg)
    check_numbers(cfg)
    check_batch(cfg)
    check_processes(cfg)
    check_classes(cfg)
    check_metric(cfg)
    check_dictionary("--optimizer-overrides", cfg.checkpoint.optimizer_overrides)
    if is_own(cfg):
        check_train_splits(cfg.task)
        validated = [] if cfg.dataset.disable_validation else [cfg.dataset.valid_subset]
        check_splits(cfg, [cfg.task.train_splits, *validated])
    check_start(cfg, read=is_own(cfg))
    for name, path in (
        ("--save-dir", cfg.checkpoint.save_dir),
        ("--tensorboard-logdir", cfg.common.tensorboard_logdir),
        ("--log-file", os.path.dirname(cfg.common.log_file or "")),
    ):
        check_writable(name, path)


def check_validation(cfg: DictConfig) -> None:
    """As ``check_training``, for fairseq-validate."""
    check_numbers(cfg)
    check_batch(cfg)
    check_processes(cfg)
    check_dictionary("--model-overrides", cfg.common_eval.model_overrides)
    if is_own(cfg):
        check_splits(cfg, [cfg.dataset.valid_subset])
    check_one_model(cfg, read=is_own(cfg) or cfg.task is None)


def check_generation(cfg: DictConfig) -> None:
    """As ``check_training``, for fairseq-generate."""
    check_numbers(cfg)
    check_rank(cfg)
    check_dictionary("--model-overrides", cfg.common_eval.model_overrides)
    if is_own(cfg):
        check_splits(cfg, [cfg.dataset.gen_subset])
    check_models(cfg, read=is_own(cfg))
    check_writable("--results-path", cfg.common_eval.results_path)


def is_own(cfg: DictConfig) -> bool:
    """Whether the task is one of this package, or made from one."""
    name = cfg.task._name if isinstance(cfg.task, DictConfig) else None
    return issubclass(TASK_REGISTRY.get(name, object), VisionLanguageTask)


def check_names(cfg: DictConfig, kinds: tuple[str, ...]) -> None:
    """UserError for a task, model or the like that is not registered, which Hydra does not see."""
    registries = {"task": TASK_REGISTRY, "model": MODEL_DATACLASS_REGISTRY}
    registries |= {kind: REGISTRIES[kind]["registry"] for kind in kinds}
    for kind, registry in registries.items():
        chosen = cfg.get(kind)
        name = chosen.get("_name") if isinstance(chosen, DictConfig) else chosen
        if isinstance(chosen, DictConfig) and name not in registry:
            own = sorted(n for n, entry in registry.items() if _is_of_this_package(entry))
            raise UserError(f"{kind} {name!r} is unknown; of this package are {', '.join(own)}")


def check_parts(cfg: DictConfig) -> None:
    """UserError for a manager, transform or the like that is not registered."""
    for group, registry in (("task", TASK_DATACLASS_REGISTRY), ("model", MODEL_DATACLASS_REGISTRY)):
        options = cfg.get(group)
        if isinstance(options, DictConfig):
            check_open_options(registry.get(options.get("_name")), options)


def _is_of_this_package(entry: Any) -> bool:
    return entry.__module__.partition(".")[0] == __name__.partition(".")[0]


def check_classes(cfg: DictConfig) -> None:
    """What the chosen optimizer, schedule and the like say of their options themselves."""
    for kind in ("criterion", "optimizer", "lr_scheduler"):
        chosen = cfg.get(kind)
        if isinstance(chosen, DictConfig):
            check = getattr(REGISTRIES[kind]["registry"][chosen._name], "check_options", None)
            if check is not None:
                check(chosen)


def check_batch(cfg: DictConfig) -> None:
    """fairseq asserts this, with a traceback."""
    if cfg.dataset.max_tokens is None and cfg.dataset.batch_size is None:
        raise UserError("give --batch-size N, or --max-tokens N, per process")


def check_processes(cfg: DictConfig) -> None:
    """UserError for more processes on this machine than it has GPUs.

    Where torchrun, Slurm or ``--distributed-init-method`` join several, they count.
    """
    check_rank(cfg)
    options, gpus = cfg.distributed_training, torch.cuda.device_count()
    started = all(name in os.environ for name in TORCHRUN) or any(n in os.environ for n in SLURM)
    size = options.distributed_world_size
    if size > max(gpus, 1) and options.distributed_init_method is None and not started:
        raise UserError(
            f"--distributed-world-size {size}: this machine has {gpus} GPUs; name as many, and "
            "raise --update-freq to keep the effective batch (examples/launching)"
        )


def check_rank(cfg: DictConfig) -> None:
    """UserError for a process that is none of those that there are."""
    options = cfg.distributed_training
    rank, size = options.distributed_rank or 0, options.distributed_world_size
    if rank >= size:
        raise UserError(
            f"--distributed-rank {rank}: with --distributed-world-size {size} ranks are 0 to "
            f"{size - 1}"
        )


def check_dictionary(name: str, text: str) -> None:
    """UserError unless an option is a Python dictionary, as fairseq wants it."""
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{name} {text}: give a dictionary, \"{{'lr': 0.001}}\" say")


def check_splits(cfg: DictConfig, splits: list[str]) -> None:
    """UserError unless the data-bin is there and has the splits."""
    if OmegaConf.is_missing(cfg.task, "data"):
        raise UserError("task.data: name the data-bin")
    data_bin = DataBin(cfg.task.data)
    for names in splits:
        data_bin.check_split(names)
