"""Visual entailment: does a picture contradict a sentence, entail it, or neither?

Source: ManagerTower, section 4 and appendix A.2; data: Xie et al., Visual Entailment, 2019.
"""

from dataclasses import dataclass
from typing import ClassVar

from fairseq.tasks import register_task

from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.vision_language import VisionLanguageConfig


@dataclass
class SnliVeConfig(VisionLanguageConfig):
    """SNLI-VE has the shared options only."""


@register_task("snli_ve", dataclass=SnliVeConfig)
class SnliVeTask(LabelTask):
    """One picture and a class; the paper trains with ``--flip`` and ``--color-ops`` (Table 9).

    SNLI-VE has three classes; data of one's own may have any.
    """

    cfg: SnliVeConfig
    name = "snli_ve"
    usual_classes = 3
    labels_of_reference: ClassVar[list[str]] = ["contradiction", "neutral", "entailment"]
