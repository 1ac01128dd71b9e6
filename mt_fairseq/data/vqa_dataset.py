"""Questions about pictures with soft answer scores."""

from __future__ import annotations

from typing import Any

import torch

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.image_text_dataset import ImageTextDataset, Sample
from mt_fairseq.errors import UserError


class VqaDataset(ImageTextDataset):
    """Adds ``answer_scores`` (B, C) float32 and fairseq's ``target`` (B, 1).

    ``target`` is the id of the majority answer in the label dictionary; padding where a question
    has no answers, or none among the classes.
    """

    def __init__(self, data_bin: DataBin, split: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(data_bin, split, *args, **kwargs)
        if data_bin.label_dictionary is None:
            raise UserError(f"{data_bin.path}: has no answer classes; prepare it for VQA")
        self.labels = data_bin.label_dictionary
        self.has_answers = "labels" in self.split.columns

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        if self.has_answers:
            sample["label"] = int(self.split.value("label", index))
            sample["classes"] = torch.as_tensor(self.split.value("labels", index)).long()
            sample["scores"] = torch.as_tensor(self.split.value("scores", index)).float()
        return sample

    def collater(self, samples: list[Sample]) -> Sample:
        batch = super().collater(samples)
        if not batch:
            return batch
        target = torch.full((len(samples), 1), self.labels.pad())
        if self.has_answers:
            scores = torch.zeros(len(samples), len(self.labels.labels))
            for row, sample in enumerate(samples):
                scores[row, sample["classes"]] = sample["scores"]
                if sample["label"] >= 0:
                    target[row, 0] = self.labels.class_to_id(sample["label"])
            batch["answer_scores"] = scores
        batch["target"] = target
        return batch
