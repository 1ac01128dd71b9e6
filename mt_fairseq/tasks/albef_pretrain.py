"""ALBEF's pre-training: contrast, masked language modelling and matching with hard negatives.

Source: ALBEF, sections 3.2 and 3.3.
"""

from dataclasses import dataclass, field

from fairseq.tasks import register_task

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.mlm_itm_dataset import MlmItmDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.gathering import GatheringTask
from mt_fairseq.tasks.passes import Options, Passes, distils, masked_words
from mt_fairseq.tasks.vision_language import VisionLanguageConfig

OBJECTIVES = ("itc", "mlm", "itm")


@dataclass
class AlbefPretrainConfig(VisionLanguageConfig):
    objectives: str = field(
        default=",".join(OBJECTIVES),
        metadata={"help": "what is trained, of itc, mlm and itm (ablations: mlm,itm)"},
    )
    mask_prob: float = field(
        default=0.15, metadata={"help": "share of the words that MLM predicts"}
    )


def parse_names(option: str, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """``"itc,mlm"`` -> ("itc", "mlm"); UserError for a name that is not known or comes twice."""
    names = tuple(name for name in text.split(",") if name)
    wrong = [name for name in names if name not in known]
    if wrong or len(set(names)) < len(names):
        raise UserError(f"{option} {text}: give different ones of {', '.join(known)} with commas")
    return names


@register_task("albef_pretrain", dataclass=AlbefPretrainConfig)
class AlbefPretrainTask(GatheringTask):
    """Captions with pictures; wide random crops and RandAugment, flips with ``--flip``."""

    cfg: AlbefPretrainConfig
    name = "albef_pretrain"
    counts_momentum = True
    paper_transform = "wide_augment"
    eval_transform_kind = "square"

    def __init__(self, cfg: AlbefPretrainConfig, data_bin: DataBin | None) -> None:
        if not 0 < cfg.mask_prob < 1:
            raise UserError(f"--mask-prob {cfg.mask_prob}: give a share between 0 and 1, 0.15 say")
        self.objectives = parse_names("--objectives", cfg.objectives, OBJECTIVES)
        if not self.objectives:
            raise UserError("--objectives: give at least one of itc, mlm and itm")
        super().__init__(cfg, data_bin)

    def head_spec(self) -> dict[str, HeadSpec]:
        classes = {"itc": 0, "mlm": len(self.dictionary), "itm": 2}
        return {name: HeadSpec(classes[name]) for name in self.objectives}

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """A whole text against its image and two negatives; a masked one; the momentum model's."""
        objectives = str(options.option("task", "objectives", ",".join(OBJECTIVES))).split(",")
        contrasts, matches, masks = (name in objectives for name in ("itc", "itm", "mlm"))
        distilled = str(options.option("criterion", "distilled", "itc,mlm")).split(",")
        words = {"mlm": masked_words(options, tokens)}
        taught_words = masks and distils(options) and "mlm" in distilled
        momentum = Passes(
            texts=contrasts + taught_words,
            images=1,
            pairs=int(taught_words),
            most_images=1,
            heads=words if taught_words else {},
        )
        return Passes(
            texts=1 + masks,
            images=1,
            pairs=3 * matches + masks,
            most_images=1,
            heads=(words if masks else {}) | ({"itm": 3} if matches else {}),
            contrasts=contrasts or matches,
            momentum=momentum if contrasts or distils(options) else None,
        )

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> MlmItmDataset:
        return MlmItmDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            mask_prob=self.cfg.mask_prob,
            negatives="hard",
            **self.dataset_arguments(),
        )
