"""Expressions about a thing in an image, with proposed boxes among which it is looked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mt_fairseq.data.batches import GroundingBatch
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample
from mt_fairseq.errors import UserError

NEEDED = ("image_size", "proposals")


class Boxes:
    """The boxes of a split, (x, y, width, height) in pixels of the raw image.

    Every box has a number: the proposals of all samples in order, then each sample's own box.

    Raises:
        UserError: a split without proposals, or a proposal that shares no pixel with its image.
    """

    def __init__(self, data_bin: DataBin, split: str) -> None:
        self.split = data_bin.split(split)
        lacking = [name for name in NEEDED if name not in self.split.columns]
        if lacking:
            raise UserError(
                f"{data_bin.path}: split {split} has no column {lacking[0]!r}, so there are no "
                "boxes to choose from; run `python -m preprocess refcoco` with --proposals"
            )
        self.known = "box" in self.split.columns
        counts = [len(self.proposals(index)) for index in range(len(self.split))]
        self.starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
        self._check(data_bin, split)

    def _check(self, data_bin: DataBin, split: str) -> None:
        for index in range(len(self.split)):
            where = f"{data_bin.path}: split {split}, sample {self.split.sample_id(index)}"
            boxes = self.proposals(index)
            if not len(boxes):
                raise UserError(f"{where}: no box is proposed")
            height, width = self.size(index)
            x, y, w, h = boxes.T
            outside = (x >= width) | (y >= height) | (x + w < 1) | (y + h < 1)
            outside |= (w <= 0) | (h <= 0)
            if outside.any():
                box = " ".join(f"{number:g}" for number in boxes[outside.argmax()])
                raise UserError(
                    f"{where}: the proposed box {box} lies outside its image of {width} x "
                    f"{height} pixels; were the proposals made for other images?"
                )

    def __len__(self) -> int:
        return len(self.split)

    def proposals(self, index: int) -> NDArray[np.float64]:
        """(n, 4) proposed boxes of a sample."""
        return np.asarray(self.split.value("proposals", index), np.float64).reshape(-1, 4)

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of a sample's raw image in pixels."""
        height, width = self.split.value("image_size", index)
        return int(height), int(width)

    def own(self, index: int) -> list[float] | None:
        """The box that a sample's expression means, None where the data has none."""
        return [float(x) for x in self.split.value("box", index)] if self.known else None

    def number(self, index: int, proposal: int | None) -> int:
        """Number of a sample's proposal; with None, of its own box."""
        if proposal is None:
            return int(self.starts[-1]) + index
        return int(self.starts[index]) + proposal

    def proposal(self, index: int, number: int) -> int:
        """Which of a sample's proposals has a number."""
        return number - int(self.starts[index])

    def box(self, number: int) -> list[float]:
        """The box of a number."""
        if number >= self.starts[-1]:
            own = self.own(number - int(self.starts[-1]))
            assert own is not None
            return own
        index = int(np.searchsorted(self.starts, number, side="right")) - 1
        return [float(x) for x in self.proposals(index)[self.proposal(index, number)]]


def box_text(box: list[float]) -> str:
    """``12 8.5 30 24``."""
    return " ".join(f"{number:g}" for number in box)


class GroundingDataset(ImageTextDataset):
    """Adds ``proposals``, a list of n boxes a sample, and ``image_sizes``, (height, width) each.

    ``target`` (B, 1) is ``first_id`` + the number of the true box; None where none is known.
    """

    def __init__(self, data_bin: DataBin, split: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        self.boxes = Boxes(data_bin, split)
        self.first_id = 0

    def batch(self, samples: list[Sample]) -> GroundingBatch:
        rows = [sample["id"] for sample in samples]
        return {
            **self.common(samples),
            "net_input": self.inputs(samples),
            "target": self.target(rows) if self.boxes.known else None,
            "proposals": [self.boxes.proposals(row).tolist() for row in rows],
            "image_sizes": [self.boxes.size(row) for row in rows],
        }

    def target(self, rows: list[int]) -> torch.Tensor:
        """(B, 1) ids of the true boxes."""
        ids = [self.first_id + self.boxes.number(row, None) for row in rows]
        return torch.tensor(ids).unsqueeze(1)
