"""Visual reasoning over pairs of images."""

from __future__ import annotations

from pathlib import Path

from examples.demo.commands import world_stage
from examples.demo.demo import LabelDemo
from examples.demo.raw import read_json_lines
from examples.demo.samples import LabelSamples
from examples.demo.stages import Stage


class Nlvr2Demo(LabelDemo):
    """Sentences in NLVR2's files, each true of half of its pairs of images."""

    name = "nlvr2"
    updates = 1200
    lr = 2e-4
    noun = "pairs of images"

    @property
    def world(self) -> Path:
        return self.places.world(self.name)

    def data_stages(self) -> list[Stage]:
        raw = self.world / "nlvr2"
        return [
            world_stage(f"{self.name}-world", self.world, ("nlvr2",)),
            self.preprocess("nlvr2", raw, raw),
        ]

    def samples(self) -> tuple[LabelSamples, LabelSamples]:
        folder = self.world / "nlvr2" / "data"
        train, test = (read_json_lines(folder / f"{split}.json") for split in ("train", "dev"))
        return _samples(train), _samples(test)


def _samples(lines: list[dict[str, str]]) -> LabelSamples:
    return LabelSamples(
        texts=[line["sentence"] for line in lines],
        ids=[line["identifier"] for line in lines],
        # pairs and sentences of a set are shared: split and set
        groups=["-".join(line["identifier"].split("-")[:2]) for line in lines],
        answers=[line["label"] for line in lines],
    )
