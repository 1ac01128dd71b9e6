"""Pre-training on image-text pairs: masked language modelling and image-text matching, and with
``--itc`` image-text contrast.

Source: ManagerTower, section 4.3 and appendix A.1; contrast as in its code and ALBEF.
"""

from dataclasses import dataclass, field

from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.mlm_itm_dataset import MlmItmDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.gathering import GatheringTask
from mt_fairseq.tasks.passes import Options, Passes, masked_words
from mt_fairseq.tasks.vision_language import VisionLanguageConfig


@dataclass
class VlpMlmItmConfig(VisionLanguageConfig):
    mask_prob: float = field(
        default=0.15, metadata={"help": "share of the words that MLM predicts"}
    )
    itc: bool = field(
        default=False,
        metadata={"help": "also contrast the texts with the pictures of all processes' batches"},
    )
    itm_negatives: ChoiceEnum(["dataset", "batch", "hard"]) = field(  # type: ignore[valid-type]
        default="dataset",
        metadata={
            "help": "where ITM's mismatched pictures come from: the whole split (as the paper); "
            "the other pictures of the batch, which costs no further image to encode; or, hard, "
            "pictures and texts of the batch that --itc finds similar"
        },
    )
    group_by_length: bool = field(
        default=False,
        metadata={
            "help": "put texts of like length into one batch, so that less is padded (2 % fewer "
            "operations with captions and batches of 8 at base size, more with larger batches and "
            "smaller pictures)"
        },
    )
    global_negatives: bool = field(
        default=False,
        metadata={
            "help": "draw hard negatives from the batches of all processes, not from each "
            "process's own; costs the memory of all their encoded pictures"
        },
    )


@register_task("vlp_mlm_itm", dataclass=VlpMlmItmConfig)
class VlpMlmItmTask(GatheringTask):
    """Captions with pictures; only a centre crop, no augmentation (Table 8)."""

    cfg: VlpMlmItmConfig
    name = "vlp_mlm_itm"
    paper_transform = "center_crop"
    eval_transform_kind = "center_crop"

    def __init__(self, cfg: VlpMlmItmConfig, data_bin: DataBin | None) -> None:
        if not 0 < cfg.mask_prob < 1:
            raise UserError(f"--mask-prob {cfg.mask_prob}: give a share between 0 and 1, 0.15 say")
        hard = str(cfg.itm_negatives) == "hard"
        if hard and not cfg.itc:
            raise UserError("--itm-negatives hard: negatives are drawn by contrast, add --itc")
        if cfg.global_negatives and not hard:
            raise UserError("--global-negatives is for hard negatives: add --itm-negatives hard")
        super().__init__(cfg, data_bin)

    def head_spec(self) -> dict[str, HeadSpec]:
        heads = {"mlm": HeadSpec(len(self.dictionary)), "itm": HeadSpec(2)}
        return {**heads, "itc": HeadSpec(0)} if self.cfg.itc else heads

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """A masked and a whole text; ITM exchanges the image of every second text."""
        negatives = str(options.option("task", "itm_negatives", "dataset"))
        images, most_images = {"dataset": (1.5, 2.0)}.get(negatives, (1.0, 1.0))
        matched = 3 if negatives == "hard" else 1
        return Passes(
            texts=2,
            images=images,
            pairs=1 + matched,
            most_images=most_images,
            heads={"mlm": masked_words(options, tokens), "itm": matched},
            gathers=bool(options.option("task", "global_negatives", False)),
            contrasts=bool(options.option("task", "itc", False)),
        )

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> MlmItmDataset:
        return MlmItmDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            mask_prob=self.cfg.mask_prob,
            negatives=str(self.cfg.itm_negatives),
            group_by_length=self.cfg.group_by_length,
            **self.dataset_arguments(),
        )
