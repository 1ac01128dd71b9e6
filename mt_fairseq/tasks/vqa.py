"""Visual question answering as classification over answer classes with soft scores.

Source: ManagerTower, section 4 and appendix A.2.
"""

from dataclasses import dataclass

from fairseq.tasks import register_task

from mt_fairseq.data.vqa_dataset import VqaDataset
from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.vision_language import VisionLanguageConfig


@dataclass
class VqaConfig(VisionLanguageConfig):
    """VQA has the shared options only."""


@register_task("vqa", dataclass=VqaConfig)
class VqaTask(LabelTask):
    """Questions; random crops and RandAugment in training, no flip: answers say left and right."""

    cfg: VqaConfig
    name = "vqa"
    scoring = "vqa_accuracy"
    asked = "answer"
    head_kind = "soft_classes"
    usual_classes = 3129
    scores = "sigmoid"
    dataset_class = VqaDataset
