"""Visual grounding without boxes to learn from: which proposal does an expression mean?

Source: ALBEF, section 5 ("Visual Grounding"). There is nothing to train here: fine-tune on the same
data-bin with ``--task retrieval --criterion albef_retrieval``, which sees pictures and expressions
only. fairseq-generate then ranks the proposals by Grad-CAM.
"""

from dataclasses import dataclass, field
from typing import Any, Optional

from fairseq.dataclass import ChoiceEnum
from fairseq.tasks import register_task
from torch import Tensor

from mt_fairseq.data.batches import ImageTextInputs
from mt_fairseq.data.grounding_dataset import GroundingDataset
from mt_fairseq.data.tokenizer import TextTokenizer
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.grounding import BoxDictionary, BoxGenerator, BoxResults
from mt_fairseq.models.grounding import MODES, heat_maps, map_layer
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.config import VisionLanguageConfig
from mt_fairseq.tasks.vision_language import VisionLanguageTask


@dataclass
class GroundingConfig(VisionLanguageConfig):
    grounding_mode: ChoiceEnum(list(MODES)) = field(  # type: ignore[valid-type]
        default=MODES[0],
        metadata={
            "help": "what the heat map explains: itm, the match, by a fusion layer's "
            "cross-attention; itc, the similarity, by the vision encoder's attention"
        },
    )
    grounding_layer: Optional[int] = field(
        default=None,
        metadata={
            "help": "layer whose attention makes the map, from 1 (default: itm the middle of the "
            "fusion layers, as the paper; itc the vision encoder's last)"
        },
    )


@register_task("grounding", dataclass=GroundingConfig)
class GroundingTask(VisionLanguageTask):
    """Expressions, pictures and proposals, as ``preprocess refcoco`` writes them."""

    cfg: GroundingConfig
    name = "grounding"
    paper_transform = "square"
    eval_transform_kind = "square"
    scoring = "box_accuracy"
    momentum_model = False
    dictionary: BoxDictionary

    def head_spec(self) -> dict[str, HeadSpec]:
        return {"itm": HeadSpec(2), "itc": HeadSpec(0)}

    def set_vocabularies(self, tokenizer: TextTokenizer, labels: list[str] | None) -> None:
        super().set_vocabularies(tokenizer, labels)
        self.dictionary = BoxDictionary(tokenizer)

    def load_dataset(
        self, split: str, combine: bool = False, task_cfg: Any = None, **kwargs: Any
    ) -> None:
        """The expressions of a split; UserError for a training, which has no boxes to learn."""
        if task_cfg is None:
            raise UserError(
                "--task grounding is for fairseq-generate; train on this data-bin with --task "
                "retrieval --criterion albef_retrieval"
            )
        super().load_dataset(split, combine, task_cfg, **kwargs)

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> GroundingDataset:
        dataset = GroundingDataset(
            self.opened_data_bin,
            split,
            transform=transform,
            shuffle=shuffle,
            **self.dataset_arguments(),
        )
        dataset.first_id = len(self.dictionary)
        self.dictionary.boxes = dataset.boxes
        return dataset

    def new_results(self, split: str) -> BoxResults:
        assert self.dictionary.boxes is not None
        return BoxResults(self.opened_data_bin, self.dictionary.boxes, len(self.dictionary))

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> BoxGenerator:
        """``--nbest`` proposals an expression become hypotheses.

        Raises UserError for a model that is no ALBEF, or lacks the head or layer that is asked.
        """
        mode = str(self.cfg.grounding_mode)
        layer = map_layer(models[0], mode, self.cfg.grounding_layer)

        def maps(model: Any, inputs: ImageTextInputs) -> Tensor:
            return heat_maps(model, inputs["src_tokens"], inputs["images"], mode, layer)

        return BoxGenerator(self.dictionary, args.nbest, maps)
