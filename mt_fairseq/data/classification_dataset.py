"""Texts about images with one class each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mt_fairseq.data.batches import ClassificationBatch, Labels
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample
from mt_fairseq.errors import UserError

UNKNOWN = -1


class ClassificationDataset(ImageTextDataset):
    """Adds ``labels`` (B,) int64, -1 where unknown, and fairseq's ``target`` (B, 1).

    ``target`` is the id of the class in the label dictionary, padding where it is unknown;
    ``labelled`` the number of samples whose class is known.
    """

    def __init__(self, data_bin: DataBin, split: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        if data_bin.label_dictionary is None:
            raise UserError(f"{data_bin.path}: has no classes (dict.label.txt)")
        self.labels = data_bin.label_dictionary
        self.has_labels = "label" in self.split.columns

    def check_kind(self) -> None:
        """UserError if the data is of another kind than this dataset's."""
        if "answers" in self.split.columns:
            raise UserError(
                f"{self.data_bin.path}: split {self.split.name} holds questions with answers, not "
                "texts with one class each; take --task vqa --criterion vqa"
            )

    def unlabelled(self) -> int:
        """How many samples have no target."""
        if not self.has_labels:
            return len(self)
        return int((np.asarray(self.split.array("label")) < 0).sum())

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        sample["label"] = int(self.split.value("label", index)) if self.has_labels else UNKNOWN
        return sample

    def batch(self, samples: list[Sample]) -> ClassificationBatch:
        return {
            **self.common(samples),
            **self.classes(samples),
            "net_input": self.inputs(samples),
        }

    def classes(self, samples: list[Sample]) -> Labels:
        """What is known of the samples' classes."""
        labels = [sample["label"] for sample in samples]
        return {
            "target": self.target(samples),
            "labels": torch.tensor(labels),
            "labelled": sum(label >= 0 for label in labels),
        }

    def target(self, samples: list[Sample]) -> torch.Tensor:
        """What fairseq-generate shows beside an answer."""
        pad, labels = self.labels.pad(), [sample["label"] for sample in samples]
        ids = [pad if label < 0 else self.labels.class_to_id(label) for label in labels]
        return torch.tensor(ids).unsqueeze(1)
