"""Visual grounding without a box to learn from: expressions and images, then Grad-CAM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from examples.albef.commands import PRETRAINING, Training, last
from examples.albef.tasks import AlbefDemo
from examples.demo import commands
from examples.demo.baselines import interval
from examples.demo.commands import SPLIT, shown
from examples.demo.report import Report, Row, best_answers
from examples.demo.stages import Stage
from mt_fairseq.analysis.markdown import table
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.grounding_dataset import Boxes
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.boxes import RIGHT_IOU, overlap
from mt_fairseq.evaluation.grounding import middle_proposal

# name -> (what the table calls it, whose checkpoint, --grounding-mode)
MAPS = {
    "itm": ("ALBEF, the match (fusion layer)", "grounding", "itm"),
    "itc": ("ALBEF, the similarity (vision layer)", "grounding", "itc"),
    "pretrained": ("pre-trained only, the match", PRETRAINING, "itm"),
}


@dataclass(frozen=True)
class GroundingReport(Report):
    """The second gain is that of the boxes chosen by similarity."""

    def text(self) -> str:
        """The table in Markdown."""
        lines = [[r.name, f"{r.score:.1f}", f"{r.low:.1f} to {r.high:.1f}"] for r in self.rows]
        gains = [
            f"{mean:.1f} points (95 %: {low:.1f} to {high:.1f})"
            for mean, low, high in (self.gain, self.shuffled_gain)
        ]
        return (
            f"{table([f'{self.metric}, %', 'all', '95 % bounds'], lines)}\n\n"
            f"The boxes chosen by the match are {gains[0]}, those by the similarity {gains[1]} "
            f"above the stronger baseline on {self.samples} held-out {self.noun}.\n"
        )


class GroundingDemo(AlbefDemo):
    """RefCOCO's files: which of the proposed boxes does an expression mean?"""

    name = "grounding"
    page = "albef"
    # few updates at a low rate: an expression of one thing fits many images of the batch
    training = Training("retrieval", "albef_retrieval", 150, 5e-5)

    def stages(self) -> list[Stage]:
        places, settings = self.places, self.settings
        world = places.world(self.name)
        return [
            commands.world_stage(f"{self.name}-world", world, ("refcoco",)),
            commands.data_stage(
                self.name, "refcoco", world / "refcoco", world / "coco", places, settings, True
            ),
            self.finetune(),
            *(self.generate(name) for name in MAPS),
        ]

    def generate(self, name: str) -> Stage:
        """The command that ranks the proposals."""
        title, checkpoint, mode = MAPS[name]
        results = self.places.results(self.name) / name
        command = ["fairseq-generate", shown(self.data), "--user-dir", "user_dir", "--cpu"]
        command += ["--task", "grounding", "--grounding-mode", mode, "--scoring", "box_accuracy"]
        command += ["--path", shown(last(self.places, checkpoint)), "--gen-subset", SPLIT]
        command += ["--batch-size", "64", "--required-batch-size-multiple", "1"]
        command += ["--num-workers", "1", "--results-path", shown(results)]
        return Stage(
            f"{self.name}-{name}", f"Boxes: {title}", command, makes=[results],
            show=lambda line: None,
        )  # fmt: skip

    def report(self) -> Report:
        boxes = Boxes(DataBin(self.data), SPLIT)
        right = [self.right(boxes, index) for index in range(len(boxes))]
        random = np.asarray([r.mean() for r in right])
        middle = np.asarray(
            [
                float(r[middle_proposal(boxes.proposals(i), *boxes.size(i))])
                for i, r in enumerate(right)
            ]
        )
        pictures = [int(boxes.split.images(index)[0]) for index in range(len(boxes))]
        found = {name: self.credits(boxes, name) for name in MAPS}
        rows = [
            *(
                Row(MAPS[name][0], *interval(values, pictures), {})
                for name, values in found.items()
            ),
            Row("box nearest to the centre", *interval(middle, pictures), {}),
            Row("random proposal", *interval(random, pictures), {}),
        ]
        stronger = max(random, middle, key=lambda credits: credits.mean())
        gains = [interval(found[name] - stronger, pictures) for name in ("itm", "itc")]
        return GroundingReport("right boxes", "expressions", len(boxes), rows, gains[0], gains[1])

    @staticmethod
    def right(boxes: Boxes, index: int) -> NDArray[np.bool_]:
        """Which proposals of a sample are right."""
        own = boxes.own(index)
        assert own is not None
        return np.asarray(
            [overlap(box, own) >= RIGHT_IOU for box in boxes.proposals(index).tolist()]
        )

    def credits(self, boxes: Boxes, name: str) -> NDArray[np.float64]:
        """1 for each expression whose first box is right, else 0; from fairseq-generate's lines."""
        path: Path = self.places.results(self.name) / name / f"generate-{SPLIT}.txt"
        with path.open(encoding="utf-8") as lines:
            best = best_answers(lines)
        lacking = len(boxes) - len(best)
        if lacking:
            raise UserError(f"{path}: has no box for {lacking} of the {len(boxes)} expressions")
        return np.asarray([self._credit(boxes, i, best[i]) for i in range(len(boxes))], float)

    @staticmethod
    def _credit(boxes: Boxes, index: int, text: str) -> bool:
        own = boxes.own(index)
        assert own is not None
        return overlap([float(number) for number in text.split()], own) >= RIGHT_IOU
