"""Mends of fairseq's moving average of weights (``--store-ema``); ``compat.apply`` applies them."""

from __future__ import annotations

import functools
import logging
from typing import Any

logger = logging.getLogger(__name__)


def average_trained_weights_alone() -> None:
    """fairseq averages buffers too and dies at the first one of integers, and keeps the average in
    half precision, where it stands still; and it counts ``--ema-update-freq`` anew after a resume.
    """
    from fairseq import trainer
    from fairseq.models import ema

    def build_ema(model: Any, cfg: Any, device: Any) -> Any:
        from mt_fairseq.models.averaged import WeightAverage

        average = WeightAverage(model, cfg, device)
        if cfg.ema_seed_model:
            average.restore(_weights_of(cfg.ema_seed_model))
        return average

    ema.build_ema = trainer.build_ema = build_ema


def _weights_of(path: str) -> Any:
    from pathlib import Path

    from mt_fairseq.errors import UserError
    from mt_fairseq.models.averaged import averaged_weights
    from mt_fairseq.models.checkpoint import read_checkpoint

    if not Path(path).is_file():
        raise UserError(f"--ema-seed-model {path}: no such file")
    return averaged_weights(read_checkpoint(Path(path)), path)


def start_averages_from_loaded_weights() -> None:
    """From a checkpoint without an average fairseq wants to start one from weights that it has
    deleted by then; into fine-tuning it takes the average of another training.

    The average is also made before the first update, so that its mistakes come before the work.
    """
    from fairseq.trainer import Trainer

    original = Trainer.load_checkpoint

    @functools.wraps(original)
    def load_checkpoint(self: Any, filename: str, *args: Any, **kwargs: Any) -> Any:
        stores = self.cfg.ema.store_ema
        self.cfg.ema.store_ema = False  # so that fairseq leaves the average to us
        try:
            extra_state = original(self, filename, *args, **kwargs)
        finally:
            self.cfg.ema.store_ema = stores
        # fairseq holds the rest of this until the training ends
        saved = None if extra_state is None else extra_state.pop("ema", None)
        resumes = saved is not None and filename != self.cfg.checkpoint.finetune_from_model
        if stores:
            average = self.ema
            if resumes:
                average.restore(saved)
            elif extra_state is not None:
                logger.info(f"the average of weights starts from those of {filename}")
        elif resumes:
            logger.warning(
                f"{filename}: its average of weights ends here; add --store-ema to carry it on"
            )
        return extra_state

    Trainer.load_checkpoint = load_checkpoint
