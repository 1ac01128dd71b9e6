"""What the steps of the network hand on, every field named.

Shapes: B batch, T text positions, P image positions (class token first), D cross-modal width,
N experts, W an encoder's own width.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class TextStates:
    """An encoded text: what ``fuse`` needs of it."""

    experts: list[Tensor]  # N of (B, T, D): projected, with type and layer embeddings
    last: Tensor  # (B, T, W) last encoder layer, unprojected
    mask: Tensor  # (B, T) boolean, True on real tokens

    def select(self, index: Tensor) -> TextStates:
        """The texts at ``index`` (n,), in that order."""
        return TextStates([e[index] for e in self.experts], self.last[index], self.mask[index])

    def first(self, count: int) -> TextStates:
        """The first ``count`` texts, without a copy."""
        return TextStates([e[:count] for e in self.experts], self.last[:count], self.mask[:count])

    def rest(self, count: int) -> TextStates:
        """All texts but the first ``count``, without a copy."""
        return TextStates([e[count:] for e in self.experts], self.last[count:], self.mask[count:])


@dataclass
class ImageStates:
    """Encoded images: what ``fuse`` needs of them."""

    experts: list[Tensor]  # N of (M, P, D)
    last: Tensor  # (M, P, W) last encoder layer after the final norm, unprojected

    def select(self, index: Tensor) -> ImageStates:
        """The images at ``index`` (n,), in that order."""
        return ImageStates([e[index] for e in self.experts], self.last[index])

    def first(self, count: int) -> ImageStates:
        """The first ``count`` images, without a copy."""
        return ImageStates([e[:count] for e in self.experts], self.last[:count])


@dataclass
class LayerOutput:
    """One cross-modal layer."""

    managed_text: Tensor  # (B, T, D) what the text's aggregation gave the layer
    managed_image: Tensor  # (B, P, D)
    text: Tensor  # (B, T, D) output
    image: Tensor | None  # (B, P, D)
    text_weights: Tensor | None  # over experts: (N, D) static, (B, N, T) adaptive, else None
    image_weights: Tensor | None


@dataclass
class FusionOutput:
    """States after the last cross-modal layer; position 0 alone where no other is read."""

    text: Tensor  # (B, T or 1, D)
    image: Tensor | None  # (B, P or 1, D); None if it was not needed
    layers: list[LayerOutput] = field(default_factory=list)


@dataclass
class TwoTowerOutput:
    """Result of the model's forward pass."""

    text: Tensor  # (B, T or 1, D) last cross-modal layer, as in FusionOutput
    image: Tensor | None  # (B, P or 1, D)
    pooled: Tensor | None  # (B, 2D): text, then image; (B, 4D) for a pair of images
    logits: Tensor | None = None
    layers: list[LayerOutput] = field(default_factory=list)


@dataclass
class Contrast:
    """Each text against all images and each image against all texts; M rows of all processes."""

    text_to_image: Tensor  # (B, M) float32: similarity over temperature
    image_to_text: Tensor  # (B, M)
    positives: Tensor  # (B, M) boolean: belong together; the same in both directions


@dataclass
class Matching:
    """Pairs of a text and an image, and whether they belong together."""

    logits: Tensor  # (n, 2); class 1 = match
    labels: Tensor  # (n,) 1 for a match
    weights: Tensor  # (n,) share of a sample's loss; 0 for a pair that there is not


@dataclass
class PretrainingOutput:
    """Result of one pre-training step."""

    mlm_logits: Tensor  # (number of masked words, V), in their order
    itm: Matching
    itc: Contrast | None = None


@dataclass
class RetrievalOutput:
    """Result of one retrieval step."""

    itc: Contrast
    itm: Matching


@dataclass
class RankingOutput:
    """Match logits of each image with several texts."""

    scores: Tensor  # (B, texts); column 0 is the image's own text
