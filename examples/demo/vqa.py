"""Visual question answering, on the images of pre-training."""

from __future__ import annotations

from examples.demo.demo import LabelDemo
from examples.demo.raw import VqaSplit, read_vqa_split
from examples.demo.stages import Stage


class VqaDemo(LabelDemo):
    """Questions in VQA v2's files; an answer's credit is the VQA accuracy."""

    name = "vqa"
    updates = 1000
    criterion = "vqa"
    scoring = "vqa_accuracy"
    metric = "VQA accuracy"
    noun = "questions"

    def data_stages(self) -> list[Stage]:
        return [self.preprocess("vqav2", self.raw.questions, self.raw.images)]

    def samples(self) -> tuple[VqaSplit, VqaSplit]:
        folder = self.raw.questions
        return read_vqa_split(folder, "train2014"), read_vqa_split(folder, "val2014")
