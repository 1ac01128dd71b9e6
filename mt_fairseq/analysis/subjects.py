"""Which models and samples an analysis looks at, and its options for them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from mt_fairseq.analysis.passes import Pass, run_pairs
from mt_fairseq.command_line import existing_path, folder_to_write, natural_int, positive_int
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset
from mt_fairseq.data.transforms import build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.checkpoint import load_checkpoint
from mt_fairseq.models.two_tower.model import TwoTowerModel
from mt_fairseq.predict import move
from mt_fairseq.tasks.task_state import TaskState

CHECKPOINT_HELP = "checkpoint file, folder of checkpoints, or exported folder"


def add_split_arguments(parser: argparse.ArgumentParser, batch_size: int = 32) -> None:
    """Options of the analyses that read a split; ``batch_size`` is the default."""
    parser.add_argument(
        "checkpoints",
        nargs="+",
        type=existing_path,
        metavar="checkpoint",
        help=f"{CHECKPOINT_HELP}; several are drawn side by side",
    )
    parser.add_argument("data", type=existing_path, help="data-bin of `python -m preprocess`")
    parser.add_argument("--split", default="valid", help="split to read (default: valid)")
    parser.add_argument(
        "--samples", type=positive_int, metavar="N", help="N samples, evenly spread (default: all)"
    )
    parser.add_argument(
        "--label",
        action="append",
        metavar="NAME",
        help="what a checkpoint is called; once for each",
    )
    parser.add_argument(
        "--batch-size",
        type=positive_int,
        default=batch_size,
        help=f"samples a pass (default: {batch_size})",
    )
    parser.add_argument(
        "--num-workers", type=natural_int, default=2, help="processes that read images"
    )
    add_output_arguments(parser)


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of all analyses that draw."""
    parser.add_argument(
        "--out", required=True, type=folder_to_write, help="folder for PNG, SVG and CSV"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace figures in --out")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, ...")


@dataclass
class Subject:
    """A model that is looked at, in evaluation mode, and what it is called.

    Attributes:
        task: its task, which has tokenizer, resolution and text length.
        source: the checkpoint's file, for messages.
    """

    label: str
    model: TwoTowerModel
    task: Any
    source: str

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device


def open_subject(path: str | Path, label: str | None = None, device: str = "cpu") -> Subject:
    """Load a checkpoint; without a label it is called by its architecture and kind of manager.

    Raises UserError for a file that is no checkpoint, or a device that torch lacks.
    """
    checkpoint = load_checkpoint(path)
    move(checkpoint.model, device)
    name = label or model_name(checkpoint.model)
    return Subject(name, checkpoint.model, checkpoint.task, str(checkpoint.path))


def model_name(model: TwoTowerModel) -> str:
    """``managertower_base AAUE`` or, without managers, the architecture alone."""
    kind = model.cfg.get("manager_type")
    return f"{model.cfg._name} {str(kind).upper()}" if kind else str(model.cfg._name)


def open_subjects(args: argparse.Namespace) -> Iterator[Subject]:
    """The checkpoints of the command line, one in memory at a time.

    Raises UserError for labels that are too few, too many or alike.
    """
    labels = args.label or [None] * len(args.checkpoints)
    if len(labels) != len(args.checkpoints):
        raise UserError(
            f"{len(labels)} --label for {len(args.checkpoints)} checkpoints: give one for each"
        )
    seen: set[str] = set()
    for path, label in zip(args.checkpoints, labels, strict=True):
        subject = open_subject(path, label, args.device)
        if subject.label in seen:
            raise UserError(f"two models are called {subject.label!r}: name each with --label")
        seen.add(subject.label)
        yield subject


@dataclass
class Material:
    """The samples that models are run on.

    Attributes:
        indices: of the samples within the split.
    """

    data_bin: DataBin
    split: str
    indices: np.ndarray[Any, Any]
    batch_size: int
    num_workers: int

    @classmethod
    def read(
        cls,
        data: str | Path,
        split: str = "valid",
        samples: int | None = None,
        batch_size: int = 32,
        num_workers: int = 2,
    ) -> Material:
        """``samples`` of a data-bin's split, evenly spread, or all of them.

        Raises UserError for a split or numbers that can't be.
        """
        for name, value in (("--samples", samples), ("--batch-size", batch_size)):
            if value is not None and value < 1:
                raise UserError(f"{name} {value}: at least 1")
        data_bin = DataBin(data)
        total = len(data_bin.split(split))
        if not total:
            raise UserError(f"{data}: split {split} has no samples")
        indices = spread(total, samples or total)
        return cls(data_bin, split, indices, batch_size, num_workers)

    @classmethod
    def of(cls, args: argparse.Namespace) -> Material:
        """What the command line asks for."""
        return cls.read(args.data, args.split, args.samples, args.batch_size, args.num_workers)

    def caption(self) -> str:
        """``split valid of data-bin vqav2, 5,000 samples``."""
        return f"split {self.split} of data-bin {self.data_bin.path.resolve().name}, " + count(
            len(self.indices), "sample"
        )

    def batches(self, subject: Subject) -> DataLoader[Any]:
        """The samples as the model sees them in evaluation.

        Raises UserError if the data-bin's token ids mean other words.
        """
        task = subject.task
        state = TaskState.from_dict(task.state_dict(), subject.source)
        state.check_tokenizer(self.data_bin, subject.source)
        dataset = ImageTextDataset(
            self.data_bin,
            self.split,
            max_text_len=task.text_limit,
            transform=build_transform(task.eval_transform_kind, task.resolution),
            image_positions=subject.model.image_positions,
            seed=1,  # nothing is drawn in evaluation
            shuffle=False,
        )
        return DataLoader(
            Subset(dataset, self.indices.tolist()),
            batch_size=self.batch_size,
            num_workers=self.num_workers,
            collate_fn=dataset.collater,
        )


def spread(total: int, wanted: int) -> np.ndarray[Any, Any]:
    """``wanted`` of ``total`` indices at even distances; all, if there are no more."""
    wanted = min(wanted, total)
    return np.arange(wanted) * total // max(wanted, 1)


def count(number: int, noun: str) -> str:
    """``1 sample``, ``2,000 samples``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def run_split(subject: Subject, material: Material) -> Iterator[Pass]:
    """All samples through the network, with a progress bar.

    A sample with several images counts once for each of them.
    """
    batches = tqdm(material.batches(subject), desc=subject.label, unit="batch")
    for batch in batches:
        inputs = batch["net_input"]
        device = subject.device
        yield from run_pairs(
            subject.model, inputs["src_tokens"].to(device), inputs["images"].to(device)
        )
