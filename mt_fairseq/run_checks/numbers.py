"""Numbers out of range: fairseq takes most of them, and fails late or does something else."""

from __future__ import annotations

import dataclasses
from typing import Any

from fairseq.models import MODEL_DATACLASS_REGISTRY
from fairseq.registry import REGISTRIES
from fairseq.tasks import TASK_DATACLASS_REGISTRY
from omegaconf import DictConfig

from mt_fairseq.models.checks import option
from mt_fairseq.ranges import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    SHARE,
    SHARE_BELOW_1,
    Range,
)

# -1 is how fairseq says that an option is off, and 0 where it counts updates
AT_LEAST_MINUS_1 = Range(-1)
SEED = Range(0, 2**32 - 1)
RANGES: dict[str, dict[str, Range]] = {
    "common": {
        "log_interval": AT_LEAST_1,
        "seed": SEED,
        "fp16_init_scale": AT_LEAST_1,
        "fp16_scale_window": AT_LEAST_1,
        "fp16_scale_tolerance": SHARE,
        "min_loss_scale": ABOVE_0,
        "amp_batch_retries": AT_LEAST_1,
        "amp_init_scale": AT_LEAST_1,
        "amp_scale_window": AT_LEAST_1,
        "empty_cache_freq": AT_LEAST_0,
        "all_gather_list_size": AT_LEAST_1,
        "model_parallel_size": AT_LEAST_1,
    },
    "distributed_training": {
        "distributed_world_size": AT_LEAST_1,
        "distributed_num_procs": AT_LEAST_1,
        "distributed_rank": AT_LEAST_0,
        "distributed_port": Range(-1, 65535),
        "device_id": AT_LEAST_0,
        "bucket_cap_mb": AT_LEAST_1,
        "heartbeat_timeout": AT_LEAST_MINUS_1,
        "localsgd_frequency": AT_LEAST_1,
        "nprocs_per_node": AT_LEAST_1,
    },
    "dataset": {
        "num_workers": AT_LEAST_0,
        "max_tokens": AT_LEAST_1,
        "batch_size": AT_LEAST_1,
        "required_batch_size_multiple": AT_LEAST_1,
        "required_seq_len_multiple": AT_LEAST_1,
        "data_buffer_size": AT_LEAST_0,
        "validate_interval": AT_LEAST_1,
        "validate_interval_updates": AT_LEAST_0,
        "validate_after_updates": AT_LEAST_0,
        "fixed_validation_seed": SEED,
        "max_tokens_valid": AT_LEAST_1,
        "batch_size_valid": AT_LEAST_1,
        "max_valid_steps": AT_LEAST_0,
        "curriculum": AT_LEAST_0,
        "num_shards": AT_LEAST_1,
        "shard_id": AT_LEAST_0,
    },
    "optimization": {
        "max_epoch": AT_LEAST_0,
        "max_update": AT_LEAST_0,
        "stop_time_hours": AT_LEAST_0,
        "clip_norm": AT_LEAST_0,
        "update_freq": AT_LEAST_1,
        "lr": AT_LEAST_0,
    },
    "checkpoint": {
        "save_interval": AT_LEAST_1,
        "save_interval_updates": AT_LEAST_0,
        "keep_interval_updates": AT_LEAST_MINUS_1,
        "keep_interval_updates_pattern": Range(1, off=-1),
        "keep_last_epochs": AT_LEAST_MINUS_1,
        "keep_best_checkpoints": AT_LEAST_MINUS_1,
        "patience": AT_LEAST_MINUS_1,
        "checkpoint_shard_count": AT_LEAST_1,
    },
    "generation": {
        "beam": AT_LEAST_1,
        "nbest": AT_LEAST_1,
        "max_len_a": AT_LEAST_0,
        "max_len_b": AT_LEAST_0,
        "min_len": AT_LEAST_0,
        "prefix_size": AT_LEAST_0,
        "no_repeat_ngram_size": AT_LEAST_0,
        "sampling_topk": AT_LEAST_MINUS_1,
        "sampling_topp": Range(0, 1, off=-1),
        "temperature": ABOVE_0,
        "diverse_beam_groups": AT_LEAST_MINUS_1,
    },
    "ema": {"ema_decay": SHARE, "ema_start_update": AT_LEAST_0, "ema_update_freq": AT_LEAST_1},
    # of fairseq's own optimizers and schedules; this package's name their ranges themselves
    "optimizer": {"adam_eps": AT_LEAST_0, "weight_decay": AT_LEAST_0, "momentum": SHARE_BELOW_1},
    "lr_scheduler": {
        "warmup_updates": AT_LEAST_0,
        "warmup_init_lr": Range(0, off=-1),
        "min_lr": AT_LEAST_0,
        "lr_shrink": ABOVE_0,
        "lr_period_updates": AT_LEAST_MINUS_1,
        "total_num_update": AT_LEAST_0,
        "end_learning_rate": AT_LEAST_0,
    },
}


def check_numbers(cfg: DictConfig) -> None:
    """UserError for the first option that is out of range.

    Args:
        cfg: the configuration of a whole run.
    """
    for group, ranges in RANGES.items():
        check_group(cfg.get(group), ranges)
    check_group(cfg.get("task"), own_ranges(TASK_DATACLASS_REGISTRY, cfg.get("task")))
    check_group(cfg.get("model"), own_ranges(MODEL_DATACLASS_REGISTRY, cfg.get("model")))
    for name in ("criterion", "optimizer", "lr_scheduler"):
        registry = REGISTRIES[name]["dataclass_registry"]
        check_group(cfg.get(name), own_ranges(registry, cfg.get(name)))


def check_group(options: Any, ranges: dict[str, Range]) -> None:
    """Options of one group; those that it lacks are passed over."""
    if not isinstance(options, DictConfig):
        return
    for name, allowed in ranges.items():
        value = options.get(name)
        if not isinstance(value, str):  # "${...}" stands for another group's option
            allowed.check(option(name), value)


def own_ranges(registry: dict[str, Any], options: Any) -> dict[str, Range]:
    """The ranges that the dataclass of the chosen class names."""
    dataclass = registry.get(options.get("_name")) if isinstance(options, DictConfig) else None
    if dataclass is None:
        return {}
    items = dataclasses.fields(dataclass)
    return {item.name: item.metadata["range"] for item in items if "range" in item.metadata}
