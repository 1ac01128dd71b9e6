"""A kind of encoder of one's own: ``--text-encoder google/electra-base-discriminator``."""

from transformers import ElectraConfig, ElectraModel

from mt_fairseq.modules.text import TextEncoder
from mt_fairseq.registries import register_encoder


@register_encoder("text", "electra", ElectraConfig, ElectraModel)
def build_electra(config: ElectraConfig, model: ElectraModel | None = None) -> TextEncoder:
    """With the weights of ``model``, or random ones; its embeddings are as wide as its layers."""
    model = ElectraModel(config) if model is None else model
    return TextEncoder(
        embeddings=model.embeddings,
        layers=model.encoder.layer,
        width=config.hidden_size,
        heads=config.num_attention_heads,
        pad=config.pad_token_id,
        max_length=config.max_position_embeddings,
    )
