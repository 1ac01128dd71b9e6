"""Image-text retrieval on captioned pictures.

Source: ManagerTower, appendix A.2; with ``--false-texts``, METER's fine-tuning.
"""

from dataclasses import dataclass, field

from fairseq.tasks import register_task

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.retrieval_dataset import RetrievalDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.passes import Options, Passes
from mt_fairseq.tasks.ranking import RankingConfig, RankingTask


@dataclass
class RetrievalConfig(RankingConfig):
    global_negatives: bool = field(
        default=False,
        metadata={
            "help": "draw hard negatives from the batches of all processes (as the paper), not "
            "from each process's own; costs the memory of all their encoded pictures"
        },
    )
    false_texts: int = field(
        default=0,
        metadata={
            "help": "for --criterion itm_ranking, image-text matching alone: how many random false "
            "captions each picture is shown (METER: 15)"
        },
    )


@register_task("retrieval", dataclass=RetrievalConfig)
class RetrievalTask(RankingTask):
    """Captions with pictures; random crops and RandAugment in training, flips with ``--flip``."""

    cfg: RetrievalConfig
    name = "retrieval"
    scoring = "recall"
    paper_transform = "augment"
    eval_transform_kind = "square"

    def __init__(self, cfg: RetrievalConfig, data_bin: DataBin | None) -> None:
        if cfg.false_texts < 0:
            raise UserError(f"--false-texts {cfg.false_texts}: give 0 or more, 15 as METER")
        if cfg.false_texts and cfg.global_negatives:
            raise UserError(
                "--global-negatives: hard negatives belong to --criterion itc_itm; with "
                "--false-texts a picture ranks random ones"
            )
        super().__init__(cfg, data_bin)

    def head_spec(self) -> dict[str, HeadSpec]:
        matching = {"itm": HeadSpec(2)}
        return matching if self.cfg.false_texts else {**matching, "itc": HeadSpec(0)}

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """A match and a hard negative per side; or METER's ranking among false texts."""
        false_texts = int(options.option("task", "false_texts", 0))
        if false_texts:
            texts = 1 + false_texts
            return Passes(texts, 1, texts, 1, heads={"itm": texts})
        gathers = bool(options.option("task", "global_negatives", False))
        return Passes(1, 1, 3, 1, heads={"itm": 3}, gathers=gathers, contrasts=True)

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> RetrievalDataset:
        return RetrievalDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            false_texts=self.cfg.false_texts,
            **self.dataset_arguments(),
        )
