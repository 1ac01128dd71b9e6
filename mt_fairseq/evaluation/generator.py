"""What stands in for fairseq's sequence generator in classification tasks."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.data.batches import ClassificationBatch, ImageTextInputs
from mt_fairseq.data.dictionary import LabelDictionary
from mt_fairseq.errors import UserError

Hypothesis = dict[str, Any]
SCORES = {"sigmoid": F.logsigmoid, "softmax": lambda logits: F.log_softmax(logits, dim=-1)}


class LabelGenerator:
    """Gives every sample its ``nbest`` classes as hypotheses of one label-dictionary token.

    Args:
        label_dictionary: classes in the order of the head's outputs.
        head_name: the head to ask, "vqa" for one.
        nbest: number of classes to give, at most as many as there are.
        scores: "sigmoid" for heads trained with binary cross-entropy, class by class, "softmax" for
            those trained with cross-entropy.
    """

    def __init__(
        self, label_dictionary: LabelDictionary, head_name: str, nbest: int, scores: str
    ) -> None:
        if scores not in SCORES:
            raise UserError(f"unknown kind of scores {scores!r}: take one of {', '.join(SCORES)}")
        self.label_dictionary = label_dictionary
        self.head_name = head_name
        self.nbest = min(nbest, len(label_dictionary.labels))
        self.log_probabilities = SCORES[scores]
        self.eos = label_dictionary.eos()
        self.symbols_to_strip_from_output = {self.eos, label_dictionary.pad()}
        # class -> id in the dictionary, whose first ids are the special tokens'
        self.class_ids = torch.tensor(
            [label_dictionary.class_to_id(c) for c in range(len(label_dictionary.labels))]
        )

    @torch.no_grad()
    def classify(self, models: list[nn.Module], net_input: ImageTextInputs) -> Tensor:
        """Log probabilities (B, C) in float32, the mean probability where there are many models."""
        logits = [
            model(**net_input, classification_head_name=self.head_name).logits.float()
            for model in models
        ]
        if not all(bool(torch.isfinite(values).all()) for values in logits):
            raise UserError(
                "the model's outputs are not finite numbers: evaluate without --fp16, or an "
                "earlier checkpoint"
            )
        values = [self.log_probabilities(one) for one in logits]
        if len(values) == 1:
            return values[0]
        return torch.logsumexp(torch.stack(values), dim=0) - math.log(len(values))

    @torch.no_grad()
    def generate(
        self,
        models: list[nn.Module],
        sample: ClassificationBatch,
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each sample, best first, as fairseq-generate reads them.

        Each is ``tokens`` (1,) with an id of the label dictionary, ``score`` (natural logarithm of
        the probability), ``positional_scores`` (1,) and an empty ``alignment``.
        """
        for model in models:
            model.eval()
        log_probabilities = self.classify(models, sample["net_input"])
        scores, classes = log_probabilities.topk(self.nbest, dim=1)
        tokens = self.class_ids[classes.cpu()]
        return [
            [
                {
                    "tokens": token.view(1),
                    "score": float(score),
                    "positional_scores": score.view(1).clone(),
                    "alignment": None,
                }
                for token, score in zip(row_tokens, row_scores, strict=True)
            ]
            for row_tokens, row_scores in zip(tokens, scores.cpu(), strict=True)
        ]
