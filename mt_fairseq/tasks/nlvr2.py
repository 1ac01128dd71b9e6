"""Visual reasoning over pairs: is a sentence true of two pictures?

Source: ManagerTower, section 4 and appendix A.2; data: Suhr et al., A Corpus for Reasoning About
Natural Language Grounded in Photographs, 2019. The model pairs the sentence with each picture and
classifies both pooled pairs together; the second picture has a token type of its own.
"""

from dataclasses import dataclass
from typing import ClassVar

from fairseq.tasks import register_task

from mt_fairseq.evaluation.nlvr2 import nlvr2_consistency, nlvr2_submission
from mt_fairseq.evaluation.results import AccuracyExtras, Prediction
from mt_fairseq.tasks.config import VisionLanguageConfig
from mt_fairseq.tasks.labels import LabelTask

FILE = "nlvr2.csv"
"""What NLVR2's official script reads."""


def consistency(scored: list[Prediction]) -> dict[str, float]:
    """Share of the sentences that are right of all their pairs, in percent."""
    pairs = {str(p.id): (p.prediction, p.reference[0]) for p in scored}
    return {"consistency": nlvr2_consistency(pairs)}


def submission(predictions: list[Prediction]) -> dict[str, str]:
    """All answers as the official script reads them."""
    return {FILE: nlvr2_submission((str(p.id), p.prediction) for p in predictions)}


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
    extras = AccuracyExtras(consistency, submission, (FILE,))
