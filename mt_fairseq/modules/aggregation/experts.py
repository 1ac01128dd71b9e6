"""From layers of a uni-modal encoder to experts in the cross-modal width."""

from __future__ import annotations

from torch import Tensor, nn

from mt_fairseq.modules.aggregation.last_layer import LayerGate


class ExpertInput(nn.Module):
    """The linear projection shared by all layers of a modality, plus embeddings.

    Args:
        in_width: the encoder's width.
        width: the cross-modal width D.
        first_layer: number, in the whole encoder from 0, of the lowest layer handed in.
        layer_rows: layers of the whole encoder if each has an embedding row (ManagerTower; rows
            below ``first_layer`` are in the table, as in the reference, and get no gradient).
        gated: join all layers into one expert first (METER's weighted sum).
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        first_layer: int = 0,
        layer_rows: int = 0,
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.first_layer = first_layer
        self.gate = LayerGate(in_width) if gated else None
        self.projection = nn.Linear(in_width, width)
        self.layer_embeddings = nn.Embedding(layer_rows, width) if layer_rows else None

    def experts(self, layers: list[Tensor], token_type: Tensor) -> list[Tensor]:
        """Encoder layers (B, ., W) -> experts (B, ., D).

        The modality's ``token_type`` row (D,) and each layer's own row are added.
        """
        if self.gate is not None:
            layers = [self.gate(layers)]
        if self.layer_embeddings is None:
            rows = [token_type] * len(layers)
        else:
            rows = list(self.layer_embeddings.weight[self.first_layer :] + token_type)
        return [self.projection(layer) + row for layer, row in zip(layers, rows, strict=True)]
