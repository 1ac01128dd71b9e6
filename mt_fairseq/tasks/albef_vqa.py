"""Visual question answering as generation: ALBEF's answer decoder.

Source: ALBEF, section 5 ("VQA").
"""

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.tasks import register_task
from torch import Tensor

from mt_fairseq.data.answer_dataset import AnswerDataset
from mt_fairseq.data.data_bin import DataBin
from mt_fairseq.data.dictionary import LabelDictionary, TextDictionary
from mt_fairseq.data.transforms import Transform
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.answer_generator import AnswerBeamSearch, AnswerRanker
from mt_fairseq.evaluation.answer_results import AnswerResults
from mt_fairseq.evaluation.task_scorer import Collection
from mt_fairseq.models.named_heads import HeadSpec
from mt_fairseq.tasks.labels import LabelTask
from mt_fairseq.tasks.passes import Options, Passes
from mt_fairseq.tasks.vision_language import VisionLanguageConfig

ANSWERS = 3  # different ones per question of VQA v2, about

logger = logging.getLogger(__name__)


@dataclass
class AlbefVqaConfig(VisionLanguageConfig):
    rank_top_k: int = field(
        default=128,
        metadata={"help": "answers whose whole likelihood is computed, chosen by first token"},
    )
    first_token_twice: bool = field(
        default=False,
        metadata={"help": "count an answer's first token twice, as the official ranking does"},
    )
    free_answers: bool = field(
        default=False,
        metadata={"help": "write answers by beam search instead of ranking the list of answers"},
    )


@register_task("albef_vqa", dataclass=AlbefVqaConfig)
class AlbefVqaTask(LabelTask):
    """Questions whose answers a decoder writes; the data-bin's answers are the closed list."""

    cfg: AlbefVqaConfig
    name = "albef_vqa"
    scoring = "vqa_accuracy"
    asked = "answer"
    dataset_class = AnswerDataset

    def __init__(self, cfg: AlbefVqaConfig, data_bin: DataBin | None) -> None:
        if cfg.rank_top_k < 1:
            raise UserError(f"--rank-top-k {cfg.rank_top_k}: at least 1")
        super().__init__(cfg, data_bin)
        if data_bin is not None:
            self.warn_of_unknown_answers()

    def set_vocabularies(self, tokenizer: Any, labels: list[str] | None) -> None:
        super().set_vocabularies(tokenizer, labels)
        if not self.labels:
            raise UserError(
                f"{self.cfg.data}: its list of answers (dict.label.txt) is empty; run `python -m "
                "preprocess` with a lower --min-answer-count or with --answer-list"
            )

    def warn_of_unknown_answers(self) -> None:
        """Say how many answers the tokenizer cannot write: those are never answered right."""
        unknown = [a for a in self.labels or () if self.tokenizer.unk in self.tokenizer.encode(a)]
        if unknown:
            logger.warning(
                f"{self.cfg.data}: {len(unknown):,} of {len(self.labels or ()):,} answers, "
                f"{unknown[0]!r} for one, have characters that the tokenizer does not know; "
                "preprocess with a tokenizer that does (bert-base-uncased in the paper)"
            )

    def head_spec(self) -> dict[str, HeadSpec]:
        return {"answers": HeadSpec(len(self.dictionary))}

    @classmethod
    def passes(cls, options: Options, tokens: int) -> Passes:
        """A fused question, and each of its answers through the decoder."""
        return Passes(1, 1, 1, 1, heads={"answers": ANSWERS})

    @property
    def target_dictionary(self) -> LabelDictionary | TextDictionary:
        return self.dictionary if self.cfg.free_answers else super().target_dictionary

    def build_dataset(self, split: str, transform: Transform, shuffle: bool) -> AnswerDataset:
        dataset = super().build_dataset(split, transform, shuffle)
        assert isinstance(dataset, AnswerDataset)
        dataset.text_target = self.cfg.free_answers
        return dataset

    def new_results(self, split: str) -> Collection | None:
        if self.cfg.free_answers:
            return AnswerResults(self.opened_data_bin, split)
        return super().new_results(split)

    def candidates(self) -> Tensor:
        """(C, L) the list of answers as <s> answer </s>, padded."""
        dictionary = self.dictionary
        rows = [
            torch.tensor([dictionary.bos(), *self.tokenizer.encode(answer), dictionary.eos()])
            for answer in self.labels or ()
        ]
        return torch.nn.utils.rnn.pad_sequence(
            rows, batch_first=True, padding_value=dictionary.pad()
        )

    def build_generator(self, models: list[Any], args: Any, **kwargs: Any) -> Any:
        """A ranking of the list, or with ``--free-answers`` fairseq's beam search."""
        self.check_heads(models)
        if self.cfg.free_answers:
            return AnswerBeamSearch(
                models,
                self.dictionary,
                beam_size=args.beam,
                max_len_a=args.max_len_a,
                max_len_b=args.max_len_b,
                min_len=args.min_len,
                normalize_scores=not args.unnormalized,
                len_penalty=args.lenpen,
                unk_penalty=args.unkpen,
                temperature=args.temperature,
                no_repeat_ngram_size=args.no_repeat_ngram_size,
            )
        assert self.label_dictionary is not None
        return AnswerRanker(
            self.label_dictionary,
            self.candidates(),
            self.cfg.rank_top_k,
            args.nbest,
            self.cfg.first_token_twice,
        )
