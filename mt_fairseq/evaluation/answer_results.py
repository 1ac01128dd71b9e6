"""Answers in words, collected where a model is not bound to the list of answers."""

from __future__ import annotations

from mt_fairseq.data.answers import normalize_answer
from mt_fairseq.evaluation.generator import Hypothesis
from mt_fairseq.evaluation.results import LabelResults


class AnswerResults(LabelResults):
    """As ``LabelResults``; answers that are no classes become further labels.

    Answers are normalised, as those are that the decoder learnt.
    """

    def add(self, ids: list[int], hypotheses: list[list[Hypothesis]]) -> None:
        """Take a batch's hypotheses in words; ``ids`` are the samples' rows in the split."""
        for index, best in zip(ids, hypotheses, strict=True):
            texts = [self.data_bin.dictionary.string(hypothesis["tokens"]) for hypothesis in best]
            self.load(
                {
                    "row": index,
                    "answers": [normalize_answer(text) for text in texts],
                    "scores": [float(hypothesis["score"]) for hypothesis in best],
                }
            )
