"""Pre-training on image-text pairs: masked language modelling and image-text matching.

Source: ManagerTower, section 4.3 and appendix A.1.
"""

from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.mlm_itm_dataset import MlmItmDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.tasks.vision_language import VisionLanguageConfig, VisionLanguageTask


@dataclass
class VlpMlmItmConfig(VisionLanguageConfig):
    mask_prob: float = field(
        default=0.15, metadata={"help": "share of the words that MLM predicts"}
    )
    itm_negatives: ChoiceEnum(["dataset", "batch"]) = field(  # type: ignore[valid-type]
        default="dataset",
        metadata={
            "help": "where ITM's mismatched pictures come from: the whole split (as the paper), "
            "or the other pictures of the batch, which costs no further image to encode"
        },
    )


@register_task("vlp_mlm_itm", dataclass=VlpMlmItmConfig)
class VlpMlmItmTask(VisionLanguageTask):
    """Captions with pictures; only a centre crop, no augmentation (Table 8)."""

    cfg: VlpMlmItmConfig
    name = "vlp_mlm_itm"
    paper_transform = "center_crop"
    eval_transform_kind = "center_crop"

    def __init__(self, cfg: VlpMlmItmConfig, data_bin: DataBin | None) -> None:
        if not 0 < cfg.mask_prob < 1:
            raise UserError(f"--mask-prob {cfg.mask_prob}: give a share between 0 and 1, 0.15 say")
        super().__init__(cfg, data_bin)

    def head_spec(self) -> dict[str, int]:
        return {"mlm": len(self.dictionary), "itm": 2}

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> MlmItmDataset:
        return MlmItmDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            mask_prob=self.cfg.mask_prob,
            negatives=str(self.cfg.itm_negatives),
            **self.dataset_arguments(),
        )
