"""A pre-training task over a data-bin, as ``fairseq-train`` sets it up without further options."""

from __future__ import annotations

from pathlib import Path

import mt_fairseq.plugin  # noqa: F401 - before anything of fairseq
from mt_fairseq.tasks.vlp_mlm_itm import VlpMlmItmConfig, VlpMlmItmTask


def open_task(folder: Path, side: int, negatives: str = "dataset") -> VlpMlmItmTask:
    """The task with its training data loaded.

    Args:
        side: image size in pixels.
        negatives: where mismatched pictures come from.
    """
    cfg = VlpMlmItmConfig(
        data=str(folder),
        image_size=str(side),
        itm_negatives=negatives,
        seed=1,
        train_subset="train",
        save_dir=str(folder),
        restore_file="checkpoint_last.pt",
        finetune_from_model=None,
        path=None,
    )
    task = VlpMlmItmTask.setup_task(cfg)
    task.load_dataset("train")
    assert isinstance(task, VlpMlmItmTask)
    return task
