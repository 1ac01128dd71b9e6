"""Visual entailment, on images of its own."""

from __future__ import annotations

from pathlib import Path

from examples.demo.commands import world_stage
from examples.demo.demo import LabelDemo
from examples.demo.raw import read_json_lines
from examples.demo.samples import LabelSamples
from examples.demo.stages import Stage


class SnliVeDemo(LabelDemo):
    """Hypotheses in SNLI-VE's files about images in Flickr30K's."""

    name = "snli_ve"
    updates = 1200
    noun = "hypotheses"

    @property
    def world(self) -> Path:
        return self.places.world(self.name)

    def data_stages(self) -> list[Stage]:
        return [
            world_stage(f"{self.name}-world", self.world, ("flickr30k", "snli_ve")),
            self.preprocess("snli_ve", self.world / "snli_ve", self.world / "flickr30k"),
        ]

    def samples(self) -> tuple[LabelSamples, LabelSamples]:
        train, test = (
            read_json_lines(self.world / "snli_ve" / f"snli_ve_{split}.jsonl")
            for split in ("train", "dev")
        )
        return _samples(train), _samples(test)


def _samples(lines: list[dict[str, str]]) -> LabelSamples:
    return LabelSamples(
        texts=[line["sentence2"] for line in lines],
        ids=[line["pairID"] for line in lines],
        groups=[line["Flickr30K_ID"] for line in lines],
        answers=[line["gold_label"] for line in lines],
    )
