"""Answers from ALBEF's decoder, behind fairseq's generation interface.

Two ways: the best of a closed list by likelihood, as hypotheses of one label-dictionary token; or a
free beam search with fairseq's own generator, as hypotheses of words.
"""

from __future__ import annotations

from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor, nn

from mt_fairseq.data.batches import AnswerBatch
from mt_fairseq.data.dictionary import LabelDictionary
from mt_fairseq.errors import UserError
from mt_fairseq.evaluation.generator import Hypothesis

EncoderOut = dict[str, list[Tensor]]


def the_decoder(model: Any) -> nn.Module:
    """The answer decoder of a model; UserError for one without."""
    heads = getattr(model, "heads", {})
    if "answers" not in heads:
        raise UserError("this checkpoint has no answer decoder: it was not trained as albef_vqa")
    return heads["answers"]


class AnswerRanker:
    """Ranks a closed list; the scores are log probabilities among the ``top_k`` that remain.

    Args:
        label_dictionary: the list, in class order.
        candidates: (C, L) each as <s> answer </s>, padded.
        top_k: answers kept by their first token.
        nbest: hypotheses to give, at most ``top_k``.
        first_token_twice: count the first token twice, as the reference does.
    """

    def __init__(
        self,
        label_dictionary: LabelDictionary,
        candidates: Tensor,
        top_k: int,
        nbest: int,
        first_token_twice: bool,
    ) -> None:
        self.label_dictionary = label_dictionary
        self.candidates = candidates
        self.top_k = top_k
        self.nbest = nbest
        self.first_token_twice = first_token_twice
        self.eos = label_dictionary.eos()
        self.symbols_to_strip_from_output = {self.eos, label_dictionary.pad()}

    @torch.no_grad()
    def generate(
        self,
        models: list[Any],
        sample: AnswerBatch,
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each question, best first."""
        if len(models) > 1:
            raise UserError("ranking answers takes one checkpoint, not several")
        model = models[0].eval()
        inputs = sample["net_input"]
        classes, scores = model.rank_answers(
            inputs["src_tokens"],
            inputs["images"],
            self.candidates,
            self.top_k,
            self.first_token_twice,
        )
        return [
            [self._hypothesis(c, s) for c, s in zip(row, row_scores, strict=True)]
            for row, row_scores in zip(
                classes[:, : self.nbest].tolist(), scores[:, : self.nbest].cpu(), strict=True
            )
        ]

    def _hypothesis(self, number: int, score: Tensor) -> Hypothesis:
        return {
            "tokens": torch.tensor([self.label_dictionary.class_to_id(number)]),
            "score": float(score),
            "positional_scores": score.view(1).clone(),
            "alignment": None,
        }


class AnswerBeamSearch:
    """fairseq's beam search over words.

    Args:
        models: ALBEF models with answer decoders; several are averaged.
        dictionary: the text dictionary.
        options: of fairseq's SequenceGenerator.
    """

    def __init__(self, models: list[Any], dictionary: Dictionary, **options: Any) -> None:
        adapters = [_EncoderDecoder(model) for model in models]
        self.bos = dictionary.bos()
        self.generator = SequenceGenerator(adapters, dictionary, **options)
        self.eos = self.generator.eos
        self.symbols_to_strip_from_output = {self.eos, dictionary.bos(), dictionary.pad()}

    @torch.no_grad()
    def generate(
        self,
        models: list[Any],
        sample: AnswerBatch,
        prefix_tokens: Tensor | None = None,
        constraints: Tensor | None = None,
    ) -> list[list[Hypothesis]]:
        """Hypotheses of each question, best first: words and </s>."""
        return self.generator.generate(
            models, sample, prefix_tokens=prefix_tokens, bos_token=self.bos
        )


class _EncoderDecoder(nn.Module):
    """An ALBEF as the encoder and decoder that fairseq's generator calls."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoder = _QuestionEncoder(model)
        self.decoder = _WordDecoder(the_decoder(model))

    def max_decoder_positions(self) -> int:
        """Longest answer in tokens."""
        return self.decoder.decoder.max_length  # type: ignore[return-value]

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        """(Log) probabilities (B, L, V) of logits."""
        logits = net_output[0].float()
        return logits.log_softmax(dim=-1) if log_probs else logits.softmax(dim=-1)


class _QuestionEncoder(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward_torchscript(self, net_input: dict[str, Tensor]) -> EncoderOut:
        text = self.model.encode_text(net_input["src_tokens"])
        fused = self.model.fuse(text, self.model.encode_images(net_input["images"]))
        return {"states": [fused.text], "mask": [text.mask]}

    def reorder_encoder_out(self, encoder_out: EncoderOut, new_order: Tensor) -> EncoderOut:
        return {name: [part[new_order] for part in parts] for name, parts in encoder_out.items()}


class _WordDecoder(nn.Module):
    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, tokens: Tensor, encoder_out: EncoderOut) -> tuple[Tensor]:
        return (self.decoder(tokens, encoder_out["states"][0], encoder_out["mask"][0]),)
