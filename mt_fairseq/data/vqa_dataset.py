"""Questions about images with soft answer scores."""

from __future__ import annotations

from typing import Any

import torch

from mt_fairseq.data.batches import Answers, VqaBatch
from mt_fairseq.data.classification_dataset import ClassificationDataset
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import Sample
from mt_fairseq.data.measured import MEASURED, measured
from mt_fairseq.errors import UserError


class VqaDataset(ClassificationDataset):
    """Adds ``answer_scores`` (B, C) float64; the label is that of the majority answer.

    A question has no label where it has no answers, or its majority answer is no class.
    """

    def __init__(self, data_bin: DataBin, split: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        self.has_answers = "labels" in self.split.columns

    def check_kind(self) -> None:
        """UserError for texts with one class each."""
        if self.has_labels and not self.has_answers:
            raise UserError(
                f"{self.data_bin.path}: split {self.split.name} holds texts with one class each, "
                "not questions with answers; take --criterion classification and --task snli_ve "
                "(one image) or nlvr2 (two)"
            )

    def unlabelled(self) -> int:
        """How many questions have no answers; those none of whose answers is a class have some."""
        return 0 if self.has_answers else len(self)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if self.has_answers:
            sample["classes"] = torch.as_tensor(self.split.value("labels", index)).long()
            sample["scores"] = measured(self.split.value("scores", index))
        return sample

    def batch(self, samples: list[Sample]) -> VqaBatch:
        return {
            **self.common(samples),
            **self.classes(samples),
            "net_input": self.inputs(samples),
        }

    def classes(self, samples: list[Sample]) -> Answers:
        found: Answers = {**super().classes(samples)}
        if self.has_answers:
            scores = torch.zeros(len(samples), len(self.labels.labels), dtype=MEASURED)
            for row, sample in enumerate(samples):
                scores[row, sample["classes"]] = sample["scores"]
            found["answer_scores"] = scores
        return found
