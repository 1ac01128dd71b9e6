"""How often each part of a model runs for one sample of a task: what its training step does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

SPECIAL_TOKENS = 2  # <s> and </s> are never masked


class Options(Protocol):
    """The options of a training run."""

    def option(self, group: str, name: str, default: Any) -> Any:
        """An option of "task", "model", "criterion" and so on, ``default`` where it is not set."""


@dataclass(frozen=True)
class Passes:
    """Runs per sample.

    Attributes:
        texts, images, pairs: through the text encoder, the vision encoder and the fusion.
        most_images: images of a sample in the worst batch, which decides the memory.
        heads: the rows that each head sees.
        gathers: whether every process collects the encoded images of all.
        contrasts: whether samples of a batch are compared with each other.
        momentum: what the momentum model runs besides, without a backward pass.
    """

    texts: float
    images: float
    pairs: float
    most_images: float
    heads: dict[str, int] = field(default_factory=dict)
    gathers: bool = False
    contrasts: bool = False
    momentum: Passes | None = None


def masked_words(options: Options, tokens: int) -> int:
    """Words that MLM predicts in a text of ``tokens``, at least one."""
    return max(1, round(options.option("task", "mask_prob", 0.15) * (tokens - SPECIAL_TOKENS)))


def distils(options: Options) -> bool:
    """Whether ALBEF's momentum model gives targets besides."""
    return float(options.option("model", "distill_alpha", 0.4)) > 0
