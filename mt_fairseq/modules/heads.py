"""Task heads, initialised as BERT's: normal(0, 0.02) weights, zero biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def init_weights(module: nn.Module) -> None:
    """The reference's initial values of everything outside the two encoders (for ``apply``)."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
    for name in getattr(module, "starts_at_zero", ()):  # children come before their parent
        nn.init.zeros_(module.get_parameter(f"{name}.weight"))


class DecayedLayerNorm(nn.LayerNorm):
    """A layer norm whose scale takes part in weight decay.

    The reference chooses parameters without decay by their names, and the names of these norms
    (in task heads and of a manager's previous output) escape it.
    """


class Pooler(nn.Module):
    """Linear and tanh on position 0."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """(B, ., D) -> (B, D)."""
        return torch.tanh(self.dense(states[:, 0]))


class LinearHead(nn.Linear):
    """Image-text matching: pooled (B, 2D) -> logits (B, classes)."""


class MLPHead(nn.Module):
    """Answers, entailment, visual reasoning: linear, layer norm, GELU, linear.

    Args:
        in_width: of the pooled input: 2D, or 4D for a pair of images.
        width: hidden channels.
        classes: number of logits.
        dropout: on the input, in training.
    """

    def __init__(self, in_width: int, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(in_width, width)
        self.norm = DecayedLayerNorm(width)
        self.out = nn.Linear(width, classes)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, in_width) -> (B, classes)."""
        return self.out(F.gelu(self.norm(self.dense(self.dropout(pooled)))))


class MaskedLMHead(nn.Module):
    """RoBERTa's head, its decoder not tied to the embeddings."""

    def __init__(self, width: int, vocabulary: int, eps: float) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.decoder = nn.Linear(width, vocabulary)

    def forward(self, states: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return self.decoder(self.norm(F.gelu(self.dense(states))))


class ContrastiveHead(nn.Module):
    """Projections of both encoders' position 0 into one space, and the learnable temperature.

    With ``pooled_width`` there is a third one, of the pooled pair (transformers' BridgeTower).
    The temperature starts at 0.07 and is clamped to [0.001, 0.5] before use, in place as in the
    reference, so that it cannot drift away outside.
    """

    def __init__(
        self, text_width: int, image_width: int, width: int, pooled_width: int = 0
    ) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, width)
        self.image = nn.Linear(image_width, width)
        self.cross = nn.Linear(pooled_width, width) if pooled_width else None
        self.temperature = nn.Parameter(torch.tensor(0.07))

    def forward(self, text_states: Tensor, image_states: Tensor) -> tuple[Tensor, Tensor]:
        """States (B, ., W) of texts and images -> their normalised features (B, E)."""
        text = F.normalize(self.text(text_states[:, 0]), dim=-1)
        return text, F.normalize(self.image(image_states[:, 0]), dim=-1)

    def cross_features(self, pooled: Tensor) -> Tensor:
        """Pooled pairs (B, 2D) -> normalised features (B, E)."""
        assert self.cross is not None, "this contrastive head has no projection of pairs"
        return F.normalize(self.cross(pooled), dim=-1)

    def clamped_temperature(self) -> Tensor:
        """The temperature to divide similarities by."""
        with torch.no_grad():
            self.temperature.clamp_(0.001, 0.5)
        return self.temperature
