"""The metric that the best checkpoint is chosen by: it exists, and its direction is right."""

from __future__ import annotations

from fairseq.criterions import CRITERION_REGISTRY
from omegaconf import DictConfig

from mt_fairseq.errors import UserError


def check_metric(cfg: DictConfig) -> None:
    """UserError for a metric that the training's criterion does not log, or by the wrong end.

    A criterion says what it logs by a class method ``declared_metrics``; others are taken on trust.
    """
    checkpoint = cfg.checkpoint
    if cfg.dataset.disable_validation:
        check_unused(checkpoint)
        return
    criterion = CRITERION_REGISTRY[cfg.criterion._name]
    if not hasattr(criterion, "declared_metrics"):
        return
    known: dict[str, bool] = criterion.declared_metrics(cfg)
    name = checkpoint.best_checkpoint_metric
    if name not in known:
        raise UserError(
            f"--best-checkpoint-metric {name}: --criterion {cfg.criterion._name} with --task "
            f"{cfg.task._name} logs {', '.join(sorted(known))}"
        )
    larger, maximized = known[name], bool(checkpoint.maximize_best_checkpoint_metric)
    if larger and not maximized:
        raise UserError(
            f"--best-checkpoint-metric {name} is better when larger: add "
            "--maximize-best-checkpoint-metric, or the worst checkpoint is kept"
        )
    if maximized and not larger:
        raise UserError(
            f"--maximize-best-checkpoint-metric: {name} is better when smaller, so the worst "
            "checkpoint would be kept; leave it out, or name a metric with "
            "--best-checkpoint-metric"
        )


def check_unused(checkpoint: DictConfig) -> None:
    """Options that ask for validation results where nothing is validated."""
    for name in ("patience", "keep_best_checkpoints"):
        if checkpoint[name] > 0:
            option = "--" + name.replace("_", "-")
            raise UserError(
                f"{option} {checkpoint[name]}: judges by validation, which --disable-validation "
                "switches off"
            )
