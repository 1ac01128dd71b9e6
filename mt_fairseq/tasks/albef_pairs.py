"""The task before NLVR2: which of two pictures does a caption describe, or neither?

Source: ALBEF, section 5 ("NLVR"), and its code. Data are the captions of pre-training; the second
picture, and the first where neither is described, are drawn from the batch by their similarity.
"""

from dataclasses import dataclass
from typing import Any

from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import register_task

from mt_fairseq.data.pairs_dataset import PairsDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.albef.model import AlbefModel
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.passes import Options, Passes
from mt_fairseq.tasks.vision_language import VisionLanguageConfig, VisionLanguageTask

CLASSES = 3  # the first picture, the second, neither


@dataclass
class AlbefPairsConfig(VisionLanguageConfig):
    """The task before NLVR2 has the shared options only."""


@register_task("albef_pairs", dataclass=AlbefPairsConfig)
class AlbefPairsTask(VisionLanguageTask):
    """Captions with one picture each; the model has doubled fusion layers, and no teacher."""

    cfg: AlbefPairsConfig
    name = "albef_pairs"
    paper_transform = "wide_augment"
    eval_transform_kind = "square"
    momentum_model = False

    def head_spec(self) -> dict[str, HeadSpec]:
        return {"itc": HeadSpec(0), "pairs": HeadSpec(CLASSES)}

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """Encoded images of the batch are taken two by two."""
        return Passes(1, 1, 1, 1, heads={"pairs": 1}, contrasts=True)

    def build_model(self, cfg: FairseqDataclass, from_checkpoint: bool = False) -> Any:
        """The pre-trained projections say which pictures are similar; they are not trained."""
        model = super().build_model(cfg, from_checkpoint)
        if not isinstance(model, AlbefModel):
            raise UserError("--task albef_pairs trains ALBEF's doubled layers: take --arch albef_*")
        model.heads["itc"].requires_grad_(False)
        return model

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> PairsDataset:
        return PairsDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            **self.dataset_arguments(),
        )
