"""What a task of the demonstration is made of: its commands, and its table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from examples.demo import commands
from examples.demo.commands import SPLIT, Places, Settings
from examples.demo.raw import RawFolders
from examples.demo.report import Report, make_report, read_answers
from examples.demo.samples import Samples
from examples.demo.stages import Stage


class Demo(ABC):
    """One task from its raw files to a table; a file of this folder each, listed in run.py.

    Class attributes:
        name: the task, as fairseq and the folders call it.
        page: folder in examples/ that tells more of it; ``name`` where empty.
        updates, lr: of its fine-tuning.

    Args:
        places: where everything of the run lies.
        settings: what the user chose.
        raw: raw files of pre-training and VQA; without captions there is no pre-training.
    """

    name: ClassVar[str]
    page: ClassVar[str] = ""
    updates: ClassVar[int]
    # a higher one makes the model forget what words mean in images
    lr: ClassVar[float] = 3e-4

    def __init__(self, places: Places, settings: Settings, raw: RawFolders) -> None:
        self.places = places
        self.settings = settings
        self.raw = raw
        self.pretrained = raw.captions is not None

    @abstractmethod
    def stages(self) -> list[Stage]:
        """Its commands, after pre-training."""

    @abstractmethod
    def report(self) -> Report:
        """Its table, from what the commands wrote."""


class LabelDemo(Demo):
    """A task with label answers: fine-tuned, then asked with its own and with other images.

    Class attributes:
        criterion, scoring: as fairseq calls them.
        metric, noun: what the table measures, and of what.
    """

    criterion: ClassVar[str] = "classification"
    scoring: ClassVar[str] = "accuracy"
    metric: ClassVar[str] = "accuracy"
    noun: ClassVar[str]

    @abstractmethod
    def data_stages(self) -> list[Stage]:
        """From raw files to ``places.data(name)``."""

    @abstractmethod
    def samples(self) -> tuple[Samples, Samples]:
        """Training and held-out samples, read from the raw files."""

    def preprocess(self, dataset: str, raw: Path, images: Path) -> Stage:
        """The command that makes the data-bin."""
        return commands.data_stage(
            self.name, dataset, raw, images, self.places, self.settings, self.pretrained
        )

    def finetuning(self) -> Stage:
        """The command that trains."""
        settings = self.settings
        updates = settings.finetuning_updates or self.updates
        lr = settings.finetuning_lr or self.lr
        return commands.finetuning_stage(
            self.name, self.criterion, updates, lr, self.places, settings, self.pretrained
        )

    def stages(self) -> list[Stage]:
        return [
            *self.data_stages(),
            self.finetuning(),
            commands.generate_stage(self.name, SPLIT, self.scoring, self.places),
            commands.shuffle_stage(self.name, self.places),
            commands.generate_stage(self.name, "shuffled", self.scoring, self.places),
        ]

    def report(self) -> Report:
        train, test = self.samples()
        answered: dict[str, Sequence[str]] = {
            name: read_answers(self.places.answers(self.name, name), self.places.data(self.name),
                               test.ids)
            for name in (SPLIT, "shuffled")
        }  # fmt: skip
        return make_report(self.metric, self.noun, train, test, answered)
