"""What the tasks with label answers share: classes, their head and their generator."""

from __future__ import annotations

from typing import Any, ClassVar

from mt_fairseq.data.classification_dataset import ClassificationDataset
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.generator import LabelGenerator
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.passes import Options, Passes
from mt_fairseq.tasks.vision_language import TRAIN, VisionLanguageTask


class LabelTask(VisionLanguageTask):
    """A task whose answers are the classes of dict.label.txt, given by the head of its name.

    Class attributes:
        head_kind: registered kind of its head.
        scores: how the head was trained, for ``LabelGenerator``.
        dataset_class: makes the samples.
        labels_of_reference: classes in the order of the reference's code; None where they depend on
            the data.
    """

    paper_transform = "augment"
    eval_transform_kind = "square"
    needs_labels = True
    scoring = "accuracy"
    asked = "classify"
    head_kind: ClassVar[str] = "classes"
    scores: ClassVar[str] = "softmax"
    dataset_class: ClassVar[type[ClassificationDataset]] = ClassificationDataset
    labels_of_reference: ClassVar[list[str] | None] = None

    def head_spec(self) -> dict[str, HeadSpec]:
        assert self.labels is not None  # a task of this kind is not set up without
        return {self.name: HeadSpec(len(self.labels), self.head_kind)}

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """A text is fused with each of its images, and classified once."""
        images = cls.images_a_sample
        return Passes(1, images, images, images, heads={cls.name: 1})

    def build_dataset(
        self, split: str, transform: Transform, shuffle: bool
    ) -> ClassificationDataset:
        dataset = self.dataset_class(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            **self.dataset_arguments(),
        )
        dataset.check_kind()
        return dataset

    def load_dataset(
        self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any
    ) -> None:
        """As the base's; UserError if labels lack that training or its validation needs."""
        super().load_dataset(split, combine, task_cfg, **kwargs)
        if task_cfg is None:
            self.check_labelled(self.datasets[split], split == TRAIN)

    def check_labelled(self, dataset: ClassificationDataset, training: bool) -> None:
        """Every sample to train on needs a label; to validate, some do."""
        lacking, count = dataset.unlabelled(), len(dataset)
        if not lacking or (not training and lacking < count):
            return
        remedy = "--train-splits" if training else "--valid-subset (or --disable-validation)"
        raise UserError(
            f"{self.cfg.data}: {lacking:,} of the {count:,} samples of split {dataset.split.name} "
            f"have no label; name splits with labels by {remedy}"
        )

    def check_heads(self, models: list[Any]) -> None:
        """UserError for a model that was not trained for this task: it would answer at random."""
        for model in models:
            lacking = [name for name in self.head_spec() if name not in model.heads]
            if lacking:
                trained = ", ".join(sorted(model.heads)) or "none"
                raise UserError(
                    f"--path {self.cfg.path}: a model without the head {lacking[0]!r} of --task "
                    f"{self.name} (its heads: {trained}); fine-tune it first"
                )

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> LabelGenerator:
        """``--nbest`` classes a sample; fairseq-generate writes them as one-token hypotheses."""
        self.check_heads(models)
        assert self.label_dictionary is not None
        return LabelGenerator(self.label_dictionary, self.name, args.nbest, scores=self.scores)
