"""The answer decoder of ALBEF's VQA: as many causal layers as there are fusion layers."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from mt_fairseq.modules.albef.fusion import causal_mask, copy_shared
from mt_fairseq.modules.albef.heads import TiedMaskedLMHead
from mt_fairseq.modules.albef.network import AlbefNetwork, word_table
from mt_fairseq.modules.attention import key_mask
from mt_fairseq.modules.cross_modal import CrossModalBlock


class AnswerDecoder(nn.Module):
    """Reads the fused question and writes the answer, word by word.

    It starts as a copy of the network's fusion layers and word embeddings and of the masked
    language modelling head. Its cross-attention reads the question's states, which are D wide;
    where the image's have another width, key and value projections start anew.

    Args:
        network: the network whose question states it reads.
        head: the MLM head to start from.
    """

    def __init__(self, network: AlbefNetwork, head: TiedMaskedLMHead) -> None:
        super().__init__()
        self.pad = network.text_encoder.pad
        self.max_length = network.text_encoder.max_length
        self.embeddings = copy.deepcopy(network.text_encoder.embeddings)
        block = {**network.fusion.block, "other_width": network.width}
        self.layers = nn.ModuleList(CrossModalBlock(**block) for _ in network.fusion.layers)
        for own, source in zip(self.layers, network.fusion.layers, strict=True):
            copy_shared(source, own)
        self.head = copy.deepcopy(head)

    def forward(self, tokens: Tensor, question: Tensor, question_mask: Tensor) -> Tensor:
        """Answers (A, L), question states (A, T, D) and mask (A, T) -> logits (A, L, V).

        Place t predicts token t + 1 from tokens 0 to t.
        """
        mask = causal_mask(tokens.ne(self.pad))
        x = self.embeddings(tokens)
        for layer in self.layers:
            x = layer(x, question, mask, key_mask(question_mask))
        return self.head(x, word_table(self.embeddings))
