"""A task of one's own in one file: how well does a caption describe an image, from 1 to 5?

Reader, dataset, head, criterion, generator, scorer and task.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import FairseqDataclass
from fairseq.scoring import register_scorer
from fairseq.tasks import register_task
from omegaconf import DictConfig
from torch import Tensor, nn

from mt_fairseq.criterions.base import LOSS, Average, Metrics
from mt_fairseq.criterions.classification import ClassificationCriterion
from mt_fairseq.data.batches import ClassificationBatch, ImageTextInputs
from mt_fairseq.data.classification_dataset import ClassificationDataset
from mt_fairseq.data.image_text_dataset import Sample
from mt_fairseq.evaluation.generator import LabelGenerator
from mt_fairseq.evaluation.results import Prediction
from mt_fairseq.evaluation.scorers import AccuracyScorer
from mt_fairseq.modules.heads import LinearHead
from mt_fairseq.modules.two_tower import TwoTower
from mt_fairseq.registries import register_head
from mt_fairseq.tasks.config import VisionLanguageConfig
from mt_fairseq.tasks.labels import LabelTask
from preprocess.datasets import Reader, register_reader
from preprocess.fields import Fields, faults_as_records
from preprocess.records import BadRecord, Record

GRADES = ["1", "2", "3", "4", "5"]


@register_reader("ratings")
class Ratings(Reader):
    """Tables of captions with a grade."""

    summary = "captions that people graded from 1 to 5"
    layout: ClassVar[str] = "RAW/train.csv, RAW/valid.csv  (columns: id, image, caption, grade)"

    def splits(self) -> list[str]:
        return [path.stem for path in self.glob("*.csv")]

    def classes(self) -> list[str]:
        return GRADES

    def records(self, split: str) -> Iterator[Record | BadRecord]:
        with open(self.raw / f"{split}.csv", encoding="utf-8", newline="") as stream:
            for number, row in enumerate(csv.DictReader(stream), 2):
                yield from faults_as_records(self.record(Fields(row, f"line {number}")))

    def record(self, row: Fields) -> Iterator[Record]:
        yield Record(
            where=row.where,
            sample_id=row.text("id"),
            text=row.text("caption"),
            images=(row.text("image"),),
            label=row.one_of("grade", GRADES),
        )


class RatingBatch(ClassificationBatch):
    """A batch with grades."""

    grades: Tensor  # (B,) float32, from 0 to 1


class RatingDataset(ClassificationDataset):
    """Captions with their grades."""

    def batch(self, samples: list[Sample]) -> RatingBatch:
        batch = super().batch(samples)
        return {**batch, "grades": batch["labels"].float() / (len(GRADES) - 1)}


@register_head("graded")
def graded_head(cfg: DictConfig, network: TwoTower, classes: int, **options: Any) -> nn.Module:
    """One linear layer on both pooled states."""
    return LinearHead(2 * network.width, classes, **options)


def expected_grade(logits: Tensor) -> Tensor:
    """(B, C) -> (B,): the mean of the grades under their probabilities, from 0 to 1."""
    grades = torch.linspace(0, 1, logits.shape[1], device=logits.device)
    return logits.float().softmax(dim=1) @ grades


@register_criterion("rating", dataclass=FairseqDataclass)
class RatingCriterion(ClassificationCriterion):
    """Cross-entropy; how far the expected grade is off is logged besides."""

    METRICS: ClassVar[Metrics] = {**ClassificationCriterion.METRICS, "off": LOSS}

    def further_figures(self, output: Any, sample: Any) -> dict[str, Average]:
        off = (expected_grade(output.logits.detach()) - sample["grades"]).abs()
        known = sample["labels"] >= 0
        return {"off": Average((off * known).sum(), sample["labelled"])}


class RatingGenerator(LabelGenerator):
    """Answers the grade nearest to the expected one, not the likeliest."""

    def classify(self, models: list[nn.Module], net_input: ImageTextInputs) -> Tensor:
        """(B, C) log probabilities, highest at the nearest grade."""
        log_probabilities = super().classify(models, net_input)
        grades = torch.linspace(0, 1, log_probabilities.shape[1], device=log_probabilities.device)
        off = (expected_grade(log_probabilities)[:, None] - grades).abs()
        return (-len(GRADES) * off).log_softmax(dim=1)


@dataclass
class NearnessConfig(FairseqDataclass):
    """Nearness has no options."""


@register_scorer("nearness", dataclass=NearnessConfig)
class NearnessScorer(AccuracyScorer):
    """Full credit for the grade itself, a quarter less for each grade beside it."""

    name = "nearness"

    def credit(self, prediction: Prediction) -> float:
        off = abs(int(prediction.prediction) - int(prediction.reference[0]))
        return 1 - off / (len(GRADES) - 1)


@dataclass
class RatingConfig(VisionLanguageConfig):
    """The shared options only."""


@register_task("rating", dataclass=RatingConfig)
class RatingTask(LabelTask):
    """What a task is, its class says; see ``VisionLanguageTask`` and ``LabelTask``."""

    cfg: RatingConfig
    name = "rating"
    eval_transform_kind = "letterbox"
    scoring = "nearness"
    head_kind = "graded"
    dataset_class = RatingDataset
    usual_classes = len(GRADES)
    labels_of_reference: ClassVar[list[str]] = GRADES

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> RatingGenerator:
        self.check_heads(models)
        assert self.label_dictionary is not None
        return RatingGenerator(self.label_dictionary, self.name, args.nbest, scores=self.scores)
