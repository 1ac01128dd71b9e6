"""The text encoder: a thin adapter over transformers' BERT-like models."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from mt_fairseq.errors import UserError
from mt_fairseq.modules.attention import key_mask
from mt_fairseq.modules.hf import BertConfig, BertModel, RobertaConfig, RobertaModel


class TextEncoder(nn.Module):
    """Embeddings and post-norm layers; padding is masked by the ids.

    Args:
        embeddings: token ids (B, T) -> (B, T, W); RoBERTa's counts its positions from the ids.
        layers: called as ``layer(states, attention_mask)``.
        width: channels W.
        heads: attention heads of a layer.
        pad: id of the padding token.
        max_length: the longest text that the position table holds.
    """

    def __init__(
        self,
        embeddings: nn.Module,
        layers: Iterable[nn.Module],
        width: int,
        heads: int,
        pad: int,
        max_length: int,
    ) -> None:
        super().__init__()
        self.width = width
        self.heads = heads
        self.pad = pad
        self.max_length = max_length
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)

    def forward(self, tokens: Tensor, num_layers: int) -> tuple[list[Tensor], Tensor]:
        """Tokens (B, T), right-padded -> the top ``num_layers`` layers, and the mask (B, T).

        Each layer is (B, T, W); the mask is boolean, True on real tokens.
        """
        if tokens.shape[1] > self.max_length:
            raise UserError(
                f"a text of {tokens.shape[1]} tokens, but the text encoder holds "
                f"{self.max_length}: set --max-text-len to at most that"
            )
        real = tokens.ne(self.pad)
        mask = key_mask(real)
        x = self.embeddings(tokens)
        first = len(self.layers) - num_layers
        layers = []
        for number, layer in enumerate(self.layers):
            x = layer(x, mask)
            if number >= first:
                layers.append(x)
        return layers, real


def build_roberta(config: RobertaConfig, model: RobertaModel | None = None) -> TextEncoder:
    """RoBERTa with the weights of ``model``, or random ones without it.

    Its pooler is left out: nothing ever reads it.
    """
    if model is None:
        model = RobertaModel(config, add_pooling_layer=False)
    pad = int(config.pad_token_id)  # type: ignore[arg-type]
    return TextEncoder(
        embeddings=model.embeddings,
        layers=model.encoder.layer,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        pad=pad,
        # positions run from pad + 1
        max_length=config.max_position_embeddings - pad - 1,
    )


def build_bert(config: BertConfig, model: BertModel | None = None) -> TextEncoder:
    """BERT, as ``build_roberta``; positions count from 0, and all tokens are of type 0."""
    if model is None:
        model = BertModel(config, add_pooling_layer=False)
    return TextEncoder(
        embeddings=model.embeddings,
        layers=model.encoder.layer,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        pad=int(config.pad_token_id),  # type: ignore[arg-type]
        max_length=config.max_position_embeddings,
    )
