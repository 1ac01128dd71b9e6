"""ALBEF in each task of the demonstration: its own training, else the demonstration's stages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from examples.albef.commands import PRETRAINING, Training, last, train
from examples.demo.commands import Places, Settings
from examples.demo.demo import Demo
from examples.demo.nlvr2 import Nlvr2Demo
from examples.demo.raw import RawFolders
from examples.demo.report import Report
from examples.demo.retrieval import RetrievalDemo
from examples.demo.snli_ve import SnliVeDemo
from examples.demo.stages import Stage
from examples.demo.vqa import VqaDemo

HEADS = ("--head-lr-multiplier", "5")  # a fresh head learns faster than what is pre-trained


class AlbefDemo(Demo):
    """A task with ALBEF's training in place of the demonstration's.

    Class attributes:
        training: of this task.
        start: the training whose checkpoint it starts from.
    """

    training: ClassVar[Training]
    start: ClassVar[str] = PRETRAINING

    def __init__(self, places: Places, settings: Settings, raw: RawFolders) -> None:
        super().__init__(places, settings, raw)
        self.pretrained = True

    def stages(self) -> list[Stage]:
        return [self.finetune() if s.name == self.name else s for s in super().stages()]

    def finetune(self) -> Stage:
        """fairseq-train from the checkpoint that the task starts from."""
        training = self.training
        if self.settings.finetuning_updates:
            training = replace(training, updates=self.settings.finetuning_updates)
        start = last(self.places, self.start)
        title = f"Fine-tuning: {self.name}"
        return train(self.name, title, training, self.data, self.places, start)

    @property
    def data(self) -> Path:
        return self.places.data(self.name)

    def report(self) -> Report:
        report = super().report()
        rows = [replace(r, name=r.name.replace("ManagerTower", "ALBEF")) for r in report.rows]
        return replace(report, rows=rows)


class AlbefRetrieval(AlbefDemo, RetrievalDemo):
    """Contrast with the momentum model and matching with hard negatives."""

    # most of what the contrast learns, it learns here
    training = Training("retrieval", "albef_retrieval", 1200, 1e-3)


class AlbefSnliVe(AlbefDemo, SnliVeDemo):
    """Three classes, with the momentum model as teacher."""

    training = Training("snli_ve", "albef_classification", 600, 3e-4, HEADS)


class AlbefNlvr2(AlbefDemo, Nlvr2Demo):
    """Two images, each read by fusion layers of its own."""

    training = Training("nlvr2", "albef_classification", 500, 3e-4, HEADS)


class AlbefVqa(AlbefDemo, VqaDemo):
    """Answers ranked by the likelihood that a decoder gives them."""

    name = "albef_vqa"
    page = "albef"
    training = Training("albef_vqa", "albef_vqa", 600, 3e-4)
