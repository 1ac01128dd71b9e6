"""ALBEF's commands on the demonstration data, as a user would type them in the checkout's root."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from examples.demo.commands import Places, shown
from examples.demo.progress import TrainingProgress
from examples.demo.stages import Stage

ENCODERS, PRETRAINING = "encoders", "pretraining"
PIXELS, BATCH = 64, 32
# each image is seen a few times only, so nothing is dropped
MODEL = ["--arch", "albef_tiny", "--dropout", "0"]
MODEL += ["--attention-dropout", "0", "--encoder-dropout", "0"]
# things are 20 to 26 pixels wide: patches of 16 cut them up and hold several at once
MODEL += ["--patch-size", "8"]


@dataclass(frozen=True)
class Training:
    """What a training may choose."""

    task: str
    criterion: str
    updates: int
    lr: float
    options: Sequence[str] = ()
    seed: int = 1


def train(
    name: str, title: str, training: Training, data: Path, places: Places, start: Path | None = None
) -> Stage:
    """fairseq-train on a data-bin; from the checkpoint ``start`` if there is one."""
    save = places.checkpoints(name)
    command = ["fairseq-train", shown(data), "--user-dir", "user_dir", "--cpu"]
    command += ["--task", training.task, "--criterion", training.criterion, *MODEL]
    command += ["--image-size", str(PIXELS), "--max-text-len", "32"]
    # crops, as in the paper, would change how many things there are and what is on the left
    command += ["--train-transform", "square", *training.options]
    command += ["--optimizer", "adamw", "--clip-norm", "1", "--lr", f"{training.lr:g}"]
    command += ["--lr-scheduler", "linear", "--warmup-ratio", "0.1"]
    command += ["--max-update", str(training.updates), "--batch-size", str(BATCH)]
    command += ["--required-batch-size-multiple", "1", "--num-workers", "1"]
    command += ["--seed", str(training.seed), "--save-dir", shown(save), "--no-epoch-checkpoints"]
    command += ["--save-interval-updates", "200", "--keep-interval-updates", "1"]
    command += ["--disable-validation", "--log-format", "json", "--log-interval", "50"]
    if start is not None:
        command += ["--finetune-from-model", shown(start)]
    show = TrainingProgress(training.updates)
    return Stage(name, title, command, makes=[save], resumes=True, show=show)


def last(places: Places, name: str) -> Path:
    """The checkpoint that a training leaves."""
    return places.checkpoints(name) / "checkpoint_last.pt"
