"""What the tasks share: the data-bin, the resolution, and what a checkpoint must carry."""

import logging
from pathlib import Path
from typing import Any, ClassVar

import torch
from fairseq.dataclass import FairseqDataclass

from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.dictionary import LabelDictionary, TextDictionary
from mt_fairseq.data.image_text_dataset import SPECIAL_TOKENS, ImageTextDataset
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.data.transforms import Transform, build_transform
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.results import AccuracyExtras, LabelResults
from mt_fairseq.evaluation.task_scorer import Answered, Collection
from mt_fairseq.freed_memory import keep_freed_memory
from mt_fairseq.models.head_classes import ClassNames
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.models.starting_point import LAST, find_starting_point
from mt_fairseq.tasks.batches import TRAIN, BatchingTask
from mt_fairseq.tasks.config import (
    DEFAULT_IMAGE_SIZE,
    DEFAULT_MAX_TEXT_LEN,
    VisionLanguageConfig,
    check_train_splits,
    parse_image_size,
)
from mt_fairseq.tasks.passes import Options, Passes
from mt_fairseq.tasks.task_state import TaskState, read_task_state

logger = logging.getLogger(__name__)


class VisionLanguageTask(BatchingTask):
    """A task over a data-bin.

    A checkpoint's ``task_state`` holds tokenizer, labels, resolution and text length, so that a
    checkpoint alone is enough for inference, and one that does not fit a data-bin is refused.

    Class attributes, by which everything else knows a task:
        name: as registered.
        paper_transform, eval_transform_kind: registered transforms of training and evaluation.
        needs_labels: whether its data-bins hold classes.
        images_a_sample: images that belong to one text.
        scoring: the scorer that ``mt_fairseq.evaluate`` takes; None for a task without answers.
        asked: the method of ``HubInterface`` that asks its models about images of one's own; None
            where heads for matching and masked words are asked.
        momentum_model: whether ALBEF trains with one.
        counts_momentum: whether ``passes`` counts what that runs.
        usual_classes: of the papers' data, where no data-bin says it.
        extras: what its accuracy comes with, if ``scoring`` is that.
    """

    cfg: VisionLanguageConfig
    name: str
    paper_transform: str
    eval_transform_kind: str
    needs_labels = False
    images_a_sample = 1
    scoring: ClassVar[str | None] = None
    asked: ClassVar[str | None] = None
    momentum_model: ClassVar[bool] = True
    counts_momentum: ClassVar[bool] = False
    usual_classes: ClassVar[int | None] = None
    extras: ClassVar[AccuracyExtras | None] = None

    def __init__(self, cfg: VisionLanguageConfig, data_bin: DataBin | None) -> None:
        super().__init__(cfg)
        check_train_splits(cfg)
        self.data_bin = data_bin
        self.image_positions = 0
        self.results: Collection | None = None
        self.saved_classes: dict[str, list[str]] = {}
        if data_bin is not None:
            self.set_vocabularies(data_bin.tokenizer, data_bin.labels)
        self.text_cleaning = None if data_bin is None else data_bin.text_cleaning
        initial = self.find_initial_checkpoint()
        self.restores_checkpoint = initial is not None
        self.image_size = parse_image_size(cfg.image_size) if cfg.image_size else None
        self.max_text_len = cfg.max_text_len
        if self.max_text_len is not None and self.max_text_len <= SPECIAL_TOKENS:
            raise UserError(
                f"--max-text-len {self.max_text_len}: <s> and </s> take {SPECIAL_TOKENS} already"
            )
        if initial is not None:
            path, resumes = initial
            self.check_fits(read_task_state(path), str(path), with_labels=resumes)

    @classmethod
    def setup_task(
        cls, cfg: VisionLanguageConfig, from_checkpoint: bool = False, **kwargs: Any
    ) -> "VisionLanguageTask":
        """Open the data-bin; a task rebuilt from a checkpoint does without where it is gone."""
        if from_checkpoint and not Path(cfg.data).exists():
            return cls(cfg, None)
        data_bin = DataBin(cfg.data)
        if cls.needs_labels and data_bin.labels is None:
            raise UserError(
                f"{cfg.data}: has no answer classes (dict.label.txt), which task {cls.name} needs; "
                "run `python -m preprocess` on data with answers"
            )
        return cls(cfg, data_bin)

    @property
    def evaluates(self) -> bool:
        """Whether nothing is trained: fairseq-generate and -validate name their checkpoint."""
        return bool(self.cfg.path)

    def find_initial_checkpoint(self) -> tuple[Path, bool] | None:
        """The checkpoint that a training run starts from, and whether it resumes that run."""
        cfg = self.cfg
        if self.evaluates:
            return None
        start = find_starting_point(
            cfg.save_dir or ".", cfg.restore_file or LAST, cfg.finetune_from_model
        )
        if start is None or start.path.is_file():
            return start and (start.path, start.resumes)
        if start.resumes:
            return None
        raise UserError(f"{start.option} {start.path}: no such file")

    def check_fits(self, state: TaskState, source: str, with_labels: bool) -> None:
        """Take resolution and text length where the user named none; refuse another vocabulary.

        Raises UserError if tokenizer (or labels, where they must agree) differ.
        """
        if self.data_bin is not None:
            state.check_tokenizer(self.data_bin, source)
            state.warn_of_other_texts(self.data_bin, source)
            if with_labels:
                state.check_labels(self.data_bin, source, self.name)
        self.saved_classes = state.head_classes
        if self.image_size is None:
            self.image_size = state.image_size
        if self.max_text_len is None:
            self.max_text_len = state.max_text_len

    def state_dict(self) -> dict[str, Any]:
        return self.current_state().to_dict()

    def current_state(self) -> TaskState:
        """What a checkpoint of this task would hold now."""
        return TaskState(
            task=self.name,
            tokenizer=self.tokenizer.state(),
            labels=self.labels,
            image_size=self.resolution,
            max_text_len=self.text_limit,
            text_cleaning=self.text_cleaning,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """fairseq calls this before it builds the model of a checkpoint for evaluation."""
        state = TaskState.from_dict(state_dict, "this checkpoint")
        self.check_fits(state, "this checkpoint", with_labels=state.task == self.name)
        if self.data_bin is None:
            self.set_vocabularies(TextTokenizer.from_state(state.tokenizer), state.labels)
            self.text_cleaning = state.text_cleaning

    @property
    def opened_data_bin(self) -> DataBin:
        """The data-bin; UserError for a task that was rebuilt without one."""
        if self.data_bin is None:
            raise UserError(f"{self.cfg.data}: no such data-bin")
        return self.data_bin

    def set_vocabularies(self, tokenizer: TextTokenizer, labels: list[str] | None) -> None:
        self.tokenizer = tokenizer
        self.labels = labels if self.needs_labels else None
        self.dictionary = TextDictionary(tokenizer)
        self.label_dictionary = (
            LabelDictionary(self.labels, self.dictionary.pad()) if self.labels is not None else None
        )

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.image_size or DEFAULT_IMAGE_SIZE

    @property
    def text_limit(self) -> int:
        """Longest text in tokens, <s> and </s> counted."""
        return self.max_text_len or DEFAULT_MAX_TEXT_LEN

    @property
    def train_transform_kind(self) -> str:
        """Name of the transform that training pictures go through."""
        return self.cfg.train_transform or self.paper_transform

    @property
    def source_dictionary(self) -> TextDictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> LabelDictionary | TextDictionary:
        return self.label_dictionary or self.dictionary

    def max_positions(self) -> None:
        """Texts are cut to ``--max-text-len``, so none is too long."""
        return

    def head_spec(self) -> dict[str, HeadSpec]:
        """Heads of this task by name."""
        raise NotImplementedError

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """What a training step runs per sample with texts of ``tokens``.

        Raises UserError for a task that does not say.
        """
        raise UserError(f"task {cls.name} does not say what a training step runs: it has no plan")

    def build_model(self, cfg: FairseqDataclass, from_checkpoint: bool = False) -> Any:
        model = super().build_model(cfg, from_checkpoint)
        model.class_names = ClassNames(self.current_state().head_classes, self.saved_classes)
        model.trained_heads_only = from_checkpoint  # fairseq's word for an evaluation
        self.image_positions = model.image_positions
        return model

    def build_transform(self, training: bool) -> Transform:
        """What the pictures of the training split, or of all others, go through."""
        if not training:
            return build_transform(self.eval_transform_kind, self.resolution)
        return build_transform(
            self.train_transform_kind,
            self.resolution,
            color_ops=self.cfg.color_ops,
            flip=self.cfg.flip,
        )

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> ImageTextDataset:
        """The dataset of a split; one method a task."""
        raise NotImplementedError

    def load_dataset(
        self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any
    ) -> None:
        """Training data is augmented and shuffled, other splits are read in order.

        fairseq-generate passes the checkpoint's settings as ``task_cfg``; what of them matters has
        come with the checkpoint's ``task_state`` before.
        """
        training = split == TRAIN and task_cfg is None
        source = self.cfg.train_splits if training else split
        self.check_images(source)
        transform = self.build_transform(training)
        self.datasets[split] = self.build_dataset(source, transform, shuffle=training)
        if task_cfg is not None:
            self.results = self.new_results(split)
            if self.results is not None:
                self.target_dictionary.answered = Answered(self.name, self.results)

    def new_results(self, split: str) -> Collection | None:
        """What collects the model's answers to a split; None for a task without answers.

        Label answers, where the task has labels; a task with others brings its own collection.
        """
        if self.label_dictionary is None:
            return None
        return LabelResults(self.opened_data_bin, split)

    def check_images(self, split: str) -> None:
        """UserError if the samples of a split have another number of pictures than the task's."""
        found = self.opened_data_bin.split(split).image_column.shape[1]
        if found != self.images_a_sample:
            raise UserError(
                f"{self.cfg.data}: a sample of split {split} has {_images(found)}, one of task "
                f"{self.name} has {_images(self.images_a_sample)}"
            )

    def dataset_arguments(self) -> dict[str, Any]:
        """Arguments that every dataset takes."""
        return {
            "max_text_len": self.text_limit,
            "image_positions": self.image_positions,
            "seed": self.cfg.seed,
        }

    def inference_step(self, generator: Any, models: list[Any], sample: Any, **kwargs: Any) -> Any:
        """Hypotheses of a batch, which are also collected for scorers and writers."""
        hypotheses = super().inference_step(generator, models, sample, **kwargs)
        if self.results is not None:
            self.results.add(sample["id"].tolist(), hypotheses)
        return hypotheses

    def begin_epoch(self, epoch: int, model: Any) -> None:
        """Tell a model that wants to know (ALBEF) how long an epoch is."""
        super().begin_epoch(epoch, model)
        if not torch.cuda.is_available():
            keep_freed_memory()
        if hasattr(model, "set_batches_per_epoch"):
            model.set_batches_per_epoch(self.batches_per_epoch)


def _images(count: int) -> str:
    return f"{count} image" + ("" if count == 1 else "s")
