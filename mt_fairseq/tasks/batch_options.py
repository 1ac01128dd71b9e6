"""The options on which the batches of an epoch depend, as a checkpoint of fairseq's has them.

Checkpoints of mid-epoch that name the samples seen need none of this; earlier versions wrote none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mt_fairseq.errors import UserError

SAVED_AT = {
    "--batch-size": ("dataset", "batch_size"),
    "--max-tokens": ("dataset", "max_tokens"),
    "--required-batch-size-multiple": ("dataset", "required_batch_size_multiple"),
    "--grouped-shuffling": ("dataset", "grouped_shuffling"),
    "--distributed-world-size": ("distributed_training", "distributed_world_size"),
    "--seed": ("common", "seed"),
    "--train-splits": ("task", "train_splits"),
    "--group-by-length": ("task", "group_by_length"),
}
"""Option -> group and name in a checkpoint's configuration."""


def options_of_run(arguments: Mapping[str, Any], task_cfg: Any) -> dict[str, Any]:
    """This run's values, from the arguments of ``get_batch_iterator`` and the task's options."""
    return {
        "--batch-size": arguments["max_sentences"],
        "--max-tokens": arguments["max_tokens"],
        "--required-batch-size-multiple": arguments["required_batch_size_multiple"],
        "--grouped-shuffling": arguments["grouped_shuffling"],
        "--distributed-world-size": arguments["num_shards"],
        "--seed": task_cfg.seed,
        "--train-splits": task_cfg.train_splits,
        "--group-by-length": getattr(task_cfg, "group_by_length", None),
    }


def check_same_options(path: Path, now: Mapping[str, Any]) -> None:
    """UserError if the run that wrote a checkpoint had other batches.

    Args:
        path: a checkpoint that stopped in the middle of an epoch and names no samples.
        now: this run's values, by option.
    """
    cfg = torch.load(path, map_location="cpu", mmap=True, weights_only=True).get("cfg") or {}
    then = {option: _value(cfg, *place) for option, place in SAVED_AT.items()}
    changed = [option for option, value in then.items() if value not in (None, now[option])]
    if changed:
        old = " ".join(f"{option} {then[option]}" for option in changed)
        new = " ".join(f"{option} {now[option]}" for option in changed)
        raise UserError(
            f"{path}: stopped in the middle of an epoch and, being of an earlier version, does not "
            f"say which samples it had seen: resume with {old} until the epoch ends (this run has "
            f"{new}), or add --reset-dataloader to begin with epoch 1"
        )


def _value(cfg: Mapping[str, Any], group: str, name: str) -> Any:
    return (cfg.get(group) or {}).get(name)
