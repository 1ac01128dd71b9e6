"""Options that all tasks share."""

from dataclasses import dataclass, field
from typing import Optional

from omegaconf import II, MISSING

from mt_fairseq.data.transforms import TRANSFORMS
from mt_fairseq.errors import UserError
from mt_fairseq.open_options import REGISTRY, OpenOptions
from mt_fairseq.tasks.batches import TRAIN
from mt_fairseq.tasks.weights_log import WeightsLogConfig

DEFAULT_IMAGE_SIZE = (288, 288)
DEFAULT_MAX_TEXT_LEN = 50


@dataclass
class VisionLanguageConfig(WeightsLogConfig, OpenOptions):
    data: str = field(default=MISSING, metadata={"help": "data-bin that `preprocess` wrote"})
    image_size: Optional[str] = field(
        default=None,
        metadata={
            "help": "resolution in pixels, SIDE or HEIGHTxWIDTH "
            "(default: that of the checkpoint that is loaded; 288 without one)"
        },
    )
    max_text_len: Optional[int] = field(
        default=None,
        metadata={
            "help": "longest text in tokens, <s> and </s> counted; longer ones are cut "
            "(default: that of the checkpoint that is loaded; 50 without one)"
        },
    )
    train_transform: Optional[str] = field(
        default=None,
        metadata={
            "help": "what training images go through "
            "(default: the paper's, center_crop for pre-training, augment for fine-tuning)",
            REGISTRY: TRANSFORMS,
        },
    )
    color_ops: bool = field(
        default=False,
        metadata={
            "help": "let RandAugment also change colours (the paper: all tasks but VQA, whose "
            "answers name colours); with --train-transform augment"
        },
    )
    flip: bool = field(
        default=False,
        metadata={
            "help": "mirror half of the training pictures (the paper: all tasks but VQA; wrong for "
            "texts that say left and right); with --train-transform augment"
        },
    )
    train_splits: str = field(
        default="train",
        metadata={"help": "splits to train on, joined: train,valid for one (default: train)"},
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
    save_dir: str = II("checkpoint.save_dir")
    restore_file: str = II("checkpoint.restore_file")
    finetune_from_model: Optional[str] = II("checkpoint.finetune_from_model")
    path: Optional[str] = II("common_eval.path")


def parse_image_size(text: str) -> tuple[int, int]:
    """``"384"`` -> (384, 384), ``"384x576"`` -> (384, 576): height, width.

    Raises UserError for anything else.
    """
    sides = str(text).lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise UserError(f"--image-size {text}: give one side, 384, or HEIGHTxWIDTH, 384x576")
    return int(sides[0]), int(sides[-1])


def check_train_splits(cfg: VisionLanguageConfig) -> None:
    """UserError for names that cannot be, or for fairseq's own option of the same purpose."""
    if cfg.train_subset not in (None, TRAIN):
        raise UserError(
            f"--train-subset {cfg.train_subset}: name the splits to train on with --train-splits"
        )
    names = cfg.train_splits.split(",")
    if not all(names) or len(set(names)) < len(names):
        raise UserError(
            f"--train-splits {cfg.train_splits}: give different names with commas between them, "
            "train,valid"
        )
