"""The network's layers as torch alone has them, for straightforward forms: the same results."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mt_fairseq.modules import attention, cross_modal, dropout, linear
from mt_fairseq.modules.aggregation import manager_base


def activated_linear(x: Tensor, layer: nn.Linear, name: str) -> Tensor:
    """As ``mt_fairseq.modules.linear.activated_linear``; autograd keeps what it keeps."""
    return layer(F.gelu(x) if name == "gelu" else x * torch.sigmoid(1.702 * x))


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Any, dropout: float) -> Tensor:
    """torch's attention, which has no fused kernel for dropout on CPUs."""
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


class NoisySum:
    """A manager's weighted sum in four operations."""

    @staticmethod
    def apply(
        scores: Tensor,
        noise: Tensor,
        temperature: Tensor,
        scale: Tensor,
        shift: Tensor,
        *rows: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """As ``mt_fairseq.modules.aggregation.weighting.NoisySum``."""
        weights = torch.softmax((scores + noise) / temperature, dim=1)
        normed = torch.stack(rows, dim=1) * scale[:, None] + shift[:, None]
        return (normed * weights).sum(dim=1), weights


@contextmanager
def plain_layers() -> Iterator[None]:
    """Inside, every model computes with the plain forms."""
    replaced: list[tuple[Any, str, Any]] = [
        (linear, "ONEDNN_IS_FASTER", False),
        (linear, "activated_linear", activated_linear),
        (cross_modal, "activated_linear", activated_linear),
        (attention, "_may_fold", lambda x: False),
        (attention, "_attend", attend),
        (dropout, "dropout", F.dropout),
        (manager_base, "NoisySum", NoisySum),
    ]
    with ExitStack() as stack:
        for module, name, plain in replaced:
            stack.enter_context(mock.patch.object(module, name, plain))
        yield
