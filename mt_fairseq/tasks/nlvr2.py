"""Visual reasoning over pairs: is a sentence true of two pictures?

Source: ManagerTower, section 4 and appendix A.2; data: Suhr et al., A Corpus for Reasoning About
Natural Language Grounded in Photographs, 2019. The model pairs the sentence with each picture and
classifies both pooled pairs together; the second picture has a token type of its own.
"""

from dataclasses import dataclass
from typing import ClassVar

from fairseq.tasks import register_task

from mt_fairseq.evaluation.nlvr2 import NLVR2
from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.vision_language import VisionLanguageConfig


@dataclass
class Nlvr2Config(VisionLanguageConfig):
    """NLVR2 has the shared options only."""


@register_task("nlvr2", dataclass=Nlvr2Config)
class Nlvr2Task(LabelTask):
    """Two pictures and a class; the paper trains with ``--flip`` and ``--color-ops`` (Table 9).

    Each picture is mirrored by itself: "the left picture" stays true, "the dog left of the cat"
    does not, which the paper puts up with.
    """

    cfg: Nlvr2Config
    name = "nlvr2"
    asked = "classify_pair"
    head_kind = "pair_classes"
    images_a_sample = 2
    usual_classes = 2
    labels_of_reference: ClassVar[list[str]] = ["False", "True"]
    extras = NLVR2
