"""Visual question answering as classification over answer classes with soft scores.

Source: ManagerTower, section 4 and appendix A.2.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.tasks import register_task

from mt_fairseq.data.transforms import Transform, build_transform
from mt_fairseq.data.vqa_dataset import VqaDataset
from mt_fairseq.evaluation.generator import LabelGenerator
from mt_fairseq.tasks.vision_language import VisionLanguageConfig, VisionLanguageTask


@dataclass
class VqaConfig(VisionLanguageConfig):
    color_ops: bool = field(
        default=False,
        metadata={"help": "let RandAugment also change colours, which many answers depend on"},
    )


@register_task("vqa", dataclass=VqaConfig)
class VqaTask(VisionLanguageTask):
    """Questions; random crops and RandAugment in training, no flip: answers say left and right."""

    cfg: VqaConfig
    name = "vqa"
    paper_transform = "augment"
    eval_transform_kind = "square"
    needs_labels = True

    def head_spec(self) -> dict[str, int]:
        assert self.labels is not None
        return {"vqa": len(self.labels)}

    def build_transform(self, training: bool) -> Transform:
        if not training:
            return super().build_transform(training)
        return build_transform(
            self.train_transform_kind, self.resolution, color_ops=self.cfg.color_ops
        )

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> VqaDataset:
        return VqaDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            **self.dataset_arguments(),
        )

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> LabelGenerator:
        """``--nbest`` answers a question; fairseq-generate writes them as one-token hypotheses."""
        assert self.label_dictionary is not None  # a task of this kind is not set up without
        return LabelGenerator(self.label_dictionary, "vqa", args.nbest, scores="sigmoid")
