"""Questions about images with their answers as texts, for a decoder."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

import torch

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.data.batches import AnswerBatch, AnswerInputs
from mt_fairseq.data.columns import ANSWER_WEIGHT
from mt_fairseq.data.image_text_dataset import Sample
from mt_fairseq.data.measured import measured
from mt_fairseq.data.vqa_dataset import VqaDataset


class AnswerDataset(VqaDataset):
    """Adds the annotators' different answers to each question, A in a batch:

    - ``net_input``: ``answer_tokens`` (A, L) <s> answer </s>, padded, and ``answer_rows`` (A,), the
      question of each.
    - ``answer_weights`` (A,) float64: the share of a question's annotators who gave it, times the
      question's own weight where the split has such a column (a half for Visual Genome's).

    Questions without answers have neither.

    Args:
        text_target: ``target`` (B, L) holds the most frequent answer's tokens instead of a class,
            which generated answers are shown beside.
    """

    def __init__(self, *args: Any, text_target: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.text_target = text_target
        self.answer_tokens = lru_cache(maxsize=1 << 16)(self._answer_tokens)

    def _answer_tokens(self, answer: str) -> torch.Tensor:
        """<s> answer </s>."""
        words = torch.tensor(self.dictionary.tokenizer.encode(answer), dtype=torch.long)
        return self.add_special_tokens(words)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "answer_tokens"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.answer_tokens = lru_cache(maxsize=1 << 16)(self._answer_tokens)

    def __getitem__(self, index: int) -> Sample:
        sample = super().__getitem__(index)
        given = self.split.value("answers", index) if self.has_answers else []
        counts = Counter(normalize_answer(answer) for answer in given)
        shares = {answer: n / len(given) for answer, n in counts.most_common() if answer}
        if given and not shares:  # nothing but punctuation and articles
            shares = {"": 1.0}
        weight = float(self.split.value_or(ANSWER_WEIGHT, index, 1.0))
        sample["given"] = {answer: weight * share for answer, share in shares.items()}
        return sample

    def batch(self, samples: list[Sample]) -> AnswerBatch:
        batch: AnswerBatch = {
            **self.common(samples),
            **self.classes(samples),
            "net_input": self.inputs(samples),
        }
        weights = [weight for sample in samples for weight in sample["given"].values()]
        if weights:
            batch["answer_weights"] = measured(weights)
        return batch

    def target(self, samples: list[Sample]) -> torch.Tensor:
        if not self.text_target:
            return super().target(samples)
        nothing = torch.tensor([self.dictionary.pad()])
        best = [next(iter(sample["given"]), None) for sample in samples]
        return self.pad(
            [nothing if answer is None else self.answer_tokens(answer)[1:] for answer in best]
        )

    def inputs(self, samples: list[Sample]) -> AnswerInputs:
        inputs: AnswerInputs = {**super().inputs(samples)}
        rows = [row for row, sample in enumerate(samples) for _ in sample["given"]]
        if rows:
            answers = [self.answer_tokens(answer) for s in samples for answer in s["given"]]
            inputs["answer_tokens"] = self.pad(answers)
            inputs["answer_rows"] = torch.tensor(rows)
        return inputs
